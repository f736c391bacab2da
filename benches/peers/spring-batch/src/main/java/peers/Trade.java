package peers;

/** One trade as it stands in the CSV file. */
record Trade(String transactionId, double amount, String currency, String timestamp, String accountFrom,
        String accountTo, String status) {
}
