//! Encrypted connections: what `sslmode` asks of the server's certificate is checked.

use oxbatch_core::execution::cause_chain;
use oxbatch_storage::{PostgresRepository, PostgresSettings};
use oxbatch_test_postgres::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_is_checked_as_sslmode_asks() {
    let server = TestServer::start_with(&[("OXBATCH_POSTGRES_SETTINGS", "fsync=off"), ("OXBATCH_POSTGRES_TLS", "yes")]);
    let (head, rest) = server.url().split_once('@').unwrap();
    let (folder, rest) = rest.split_once(':').unwrap();
    let roots = format!("{folder}%2Froot.crt");
    let open = async |host: &str, query: &str| {
        let settings = PostgresSettings::from_url(&format!("{head}@{host}:{rest}?{query}")).unwrap();
        PostgresRepository::open(settings).await.map_err(|error| cause_chain(&error))
    };
    let encrypted = "SELECT count(*) FROM pg_stat_ssl WHERE ssl AND pid = pg_backend_pid()";
    for (host, query) in [
        ("127.0.0.1", "sslmode=require".to_owned()),
        ("127.0.0.1", "sslmode=prefer".to_owned()),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={roots}")),
        ("localhost", format!("sslmode=verify-full&sslrootcert={roots}")),
    ] {
        let repository = open(host, &query).await.unwrap();
        let client = repository.connect().await.unwrap();
        let count: i64 = client.query_one(encrypted, &[]).await.unwrap().get(0);
        assert_eq!(count, 1, "{query}");
    }
    // A certificate for another name, one that nobody has signed who is trusted, and no file to trust.
    let refused = open("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={roots}")).await.unwrap_err();
    assert!(refused.contains("no encrypted connection") && refused.contains("127.0.0.1"), "{refused}");
    let strangers = open("localhost", "sslmode=verify-full&sslrootcert=system").await.unwrap_err();
    assert!(strangers.contains("certificate"), "{strangers}");
    let refused = open("localhost", "sslmode=verify-full&sslrootcert=missing.pem").await.unwrap_err();
    assert!(refused.contains("the root certificates 'missing.pem' cannot be read"), "{refused}");
}
