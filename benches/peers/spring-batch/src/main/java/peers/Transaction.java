package peers;

/** One row of the benchmark's tables and one element of its XML file. */
record Transaction(String transactionId, double amount, String currency, String timestamp, String accountFrom,
        String accountTo, String status, double amountEur) {

    /** Adds the amount in euros, rounded to cents; cancelled is failed. */
    static Transaction of(Trade trade) {
        double rate = switch (trade.currency()) {
            case "USD" -> 0.92;
            case "GBP" -> 1.17;
            default -> 1.0;
        };
        String status = trade.status().equals("CANCELLED") ? "FAILED" : trade.status();
        double euros = Math.round(trade.amount() * rate * 100.0) / 100.0;
        return new Transaction(trade.transactionId(), trade.amount(), trade.currency(), trade.timestamp(),
                trade.accountFrom(), trade.accountTo(), status, euros);
    }
}
