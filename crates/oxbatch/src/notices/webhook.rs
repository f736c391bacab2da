//! A webhook: a signed POST, without redirects, within ten seconds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use oxbatch_core::notice::Notice;
use ring::hmac;
use ureq::Agent;
use ureq::unversioned::transport::DefaultConnector;

use super::address::SafeResolver;

/// Longest time of a delivery, from the name to the end of the answer.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Largest answer that is read: it is thrown away, but a receiver that sends on and on is none.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;
/// The header of the signature.
const SIGNATURE: &str = "oxbatch-signature";

/// Sends webhooks.
#[derive(Debug, Clone)]
pub(super) struct Webhook {
    /// To the outside, and to networks of the house as well.
    agents: Arc<[Agent; 2]>,
}

impl Webhook {
    pub(super) fn new() -> Self {
        let agent = |private| {
            let config = Agent::config_builder()
                .timeout_global(Some(MAX_TIME))
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                // A proxy would resolve the name by itself, behind the check of its addresses.
                .proxy(None)
                .user_agent(concat!("oxbatch/", env!("CARGO_PKG_VERSION")))
                .tls_config(crate::remote::tls())
                .build();
            Agent::with_parts(config, DefaultConnector::new(), SafeResolver::new(private))
        };
        Self { agents: Arc::new([agent(false), agent(true)]) }
    }

    /// Sends a notice; any answer of success takes it.
    pub(super) fn post(
        &self,
        url: &str,
        secret_file: Option<&Path>,
        private: bool,
        (notice, body): (&Notice, &str),
    ) -> Result<(), String> {
        let agent = &self.agents[usize::from(private)];
        let mut request =
            agent.post(url).header("content-type", "application/json").header("oxbatch-notice", notice.id.to_string());
        if let Some(file) = secret_file {
            let secret = read_secret(file)?;
            request = request.header(SIGNATURE, signature(&secret, Timestamp::now().as_second(), notice, body));
        }
        // The address may hold a token: it is in no message.
        let mut answer =
            request.send(body).map_err(|error| format!("the webhook cannot be delivered: {}", plain(&error)))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("the receiver has answered {}", status.as_u16()));
        }
        match answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec() {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("the answer of the receiver cannot be read: {}", plain(&error))),
        }
    }
}

/// The error without the address that was called.
fn plain(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) => "its address is none".to_owned(),
        error => error.to_string(),
    }
}

fn read_secret(file: &Path) -> Result<Vec<u8>, String> {
    let text =
        std::fs::read(file).map_err(|error| format!("the secret file '{}' cannot be read: {error}", file.display()))?;
    let secret = text.trim_ascii();
    if secret.is_empty() { Err(format!("the secret file '{}' is empty", file.display())) } else { Ok(secret.to_vec()) }
}

/// `t=SECONDS,id=ID,v1=HEX`: HMAC-SHA-256 of `SECONDS.ID.BODY`, so that neither is sent again with the other.
fn signature(secret: &[u8], seconds: i64, notice: &Notice, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, format!("{seconds}.{}.{body}", notice.id).as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},id={},v1={hex}", notice.id)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use super::super::template::tests::notice;
    use super::*;

    /// A receiver that answers one request, and what it was sent.
    fn receiver(answer: impl FnOnce(&mut TcpStream) + Send + 'static) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut sent = Vec::new();
            let mut buffer = [0; 4096];
            while !String::from_utf8_lossy(&sent).contains("THE END") {
                let read = stream.read(&mut buffer).unwrap();
                if read == 0 {
                    break;
                }
                sent.extend_from_slice(&buffer[..read]);
            }
            answer(&mut stream);
            String::from_utf8_lossy(&sent).into_owned()
        });
        (url, thread)
    }

    fn answering(text: &'static str) -> (String, std::thread::JoinHandle<String>) {
        receiver(move |stream| drop(stream.write_all(text.as_bytes())))
    }

    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    fn post(url: &str, secret: Option<&Path>, private: bool) -> Result<(), String> {
        Webhook::new().post(url, secret, private, (&notice(), "body THE END"))
    }

    #[test]
    fn a_webhook_is_signed_over_its_time_its_id_and_its_body() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "key\n").unwrap();
        let (url, thread) = answering(OK);
        assert_eq!(post(&url, Some(&secret), true), Ok(()));
        let sent = thread.join().unwrap();
        let header = sent.lines().find_map(|line| line.strip_prefix("oxbatch-signature: ")).unwrap();
        let seconds = header.strip_prefix("t=").unwrap().split(',').next().unwrap().parse().unwrap();
        assert_eq!(header, signature(b"key", seconds, &notice(), "body THE END"));
        // RFC 4231, test case 2, in the form of the key and the text alone.
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        assert!(
            format!("{:02x?}", hmac::sign(&key, b"what do ya want for nothing?").as_ref())
                .starts_with("[5b, dc, c1, 46")
        );
        assert!(post(&url, Some(&folder.path().join("none")), true).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn redirects_errors_and_endless_answers_are_no_delivery() {
        let (url, _thread) =
            answering("HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(post(&url, None, true), Err("the receiver has answered 302".to_owned()));
        let (url, _thread) = answering("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(post(&url, None, true), Err("the receiver has answered 500".to_owned()));
        let (url, _thread) = receiver(|stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        });
        assert!(post(&url, None, true).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_forbidden_address_is_never_connected_to() {
        for url in ["http://169.254.169.254/latest/meta-data", "http://[::ffff:169.254.169.254]/", "http://0.0.0.0:9/"]
        {
            let refused = post(url, None, true).unwrap_err();
            assert!(refused.contains("its address is one that webhooks are not sent to"), "{refused}");
        }
        let (url, _thread) = answering(OK);
        assert!(post(&url, None, false).unwrap_err().contains("private = true"), "not unless it is allowed");
        let began = Instant::now();
        assert!(post("http://127.0.0.1:1/", None, true).is_err());
        assert!(began.elapsed() < MAX_TIME);
    }
}
