//! Notices through the real binary: told by a command, again after a receiver that failed, and by another process
//! after a death.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::harness::{LONG, Service, TestStore};

/// Settings with a channel `ops`: a program that appends its input to `told`, once the file `ready` is there.
fn with_command(place: &TestStore) {
    let script = "#!/bin/sh\ntest -e ready || exit 3\n{ cat; echo; } >> told\n";
    place.write("tell", script);
    std::fs::set_permissions(place.path("tell"), std::fs::Permissions::from_mode(0o755)).unwrap();
    place.write("oxbatch.toml", "[notices.ops]\non = ['failed', 'late', 'missed']\ncommand = ['./tell', '{{kind}}']\n");
}

fn until(mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < LONG, "what is waited for does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn told(place: &TestStore) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(place.path("told")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_notice_that_is_not_delivered_when_the_process_dies_is_delivered_by_another() {
    for place in TestStore::of_each_kind() {
        with_command(&place);
        let mut service = Service::start(&place);
        place.run("launch FailingJob").expect(0);
        // The execution has ended, and the channel does not take its notice. An attempt whose end is not recorded would
        // be made again after a minute alone.
        until(|| {
            let notices = place.run("notices --json").expect(0).json();
            let ids = notices.as_array().unwrap().iter().map(|notice| notice["id"].to_string());
            ids.into_iter().any(|id| {
                place.run(&format!("notices attempts {id}")).expect(0).stdout.contains("has ended with exit status: 3")
            })
        });
        service.process.signal("KILL");
        service.process.end(LONG);
        assert_eq!(told(&place).len(), 0);
        place.write("ready", "");
        let service = Service::start(&place);
        until(|| !told(&place).is_empty());
        let first = told(&place).remove(0);
        assert_eq!((&first["kind"], &first["job"]), (&"failed".into(), &"FailingJob".into()));
        until(|| place.run("notices --json").expect(0).json()[0]["state"] == "DELIVERED");
        let id = place.run("notices --json").expect(0).json()[0]["id"].to_string();
        assert_eq!(first["id"], id.as_str());
        let log = place.run(&format!("notices attempts {id}")).expect(0).stdout;
        assert!(log.contains("has ended with exit status: 3"), "{log}");
        let remote = format!("notices --json --server http://{}", service.address);
        assert_eq!(place.run(&remote).expect(0).json(), place.run("notices --json").expect(0).json());
        service.terminate();
    }
}

#[test]
fn the_attempts_of_a_notice_that_is_not_there_are_refused_here_and_by_the_service() {
    let place = TestStore::new();
    let service = Service::start(&place);
    let here = place.run("notices attempts 999").expect(2).stderr;
    assert!(here.contains("notice not found: 999"), "{here}");
    let there = place.run(&format!("notices attempts 999 --server http://{}", service.address)).expect(2).stderr;
    assert!(there.contains("notice not found: 999"), "{there}");
    service.terminate();
}

#[test]
fn a_channel_is_tried_from_the_command_line() {
    let place = TestStore::new();
    with_command(&place);
    assert!(place.run("notices test ops").expect(4).stderr.contains("exit status: 3"));
    let service = Service::start(&place);
    let remote = |what: &str| place.run(&format!("notices test {what} --server http://{}", service.address));
    let trial = remote("ops --json").expect(4).json();
    assert_eq!((&trial["taken"], &trial["channel"]), (&false.into(), &"ops".into()));
    assert!(trial["problem"].as_str().unwrap().contains("exit status: 3"), "{trial}");
    assert!(remote("none").expect(2).stderr.contains("channel not found: 'none'"));
    place.write("ready", "");
    assert_eq!(remote("ops").expect(0).stdout, "channel ops has taken a trial\n");
    std::fs::remove_file(place.path("told")).unwrap();
    service.terminate();
    assert_eq!(place.run("notices test ops").expect(0).stdout, "channel ops has taken a trial\n");
    assert_eq!(told(&place)[0]["kind"], "test");
    assert!(place.run("notices test none").expect(2).stderr.contains("the channels are ops"));

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let receiver = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 8192];
        let mut sent = String::new();
        while !sent.contains('}') {
            let read = stream.read(&mut buffer).unwrap();
            sent.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        sent
    });
    place.write("secret", "key");
    place.write(
        "oxbatch.toml",
        &format!("[notices.hook]\non = ['failed']\nurl = '{url}'\nsecret_file = 'secret'\nprivate = true\nbody = '{{\"text\": \"{{{{kind}}}}\"}}'\n"),
    );
    place.run("notices test hook").expect(0);
    let sent = receiver.join().unwrap();
    assert!(sent.contains("oxbatch-signature: t=") && sent.ends_with("{\"text\": \"test\"}"), "{sent}");
    place.write("oxbatch.toml", "[notices.hook]\non = ['failed']\nurl = 'http://169.254.169.254/latest'\n");
    let refused = place.run("notices test hook").expect(4).stderr;
    assert!(refused.contains("webhooks are not sent to") && !refused.contains("/latest"), "{refused}");
    place.write("oxbatch.toml", "[notices.hook]\non = ['broken']\nurl = 'http://x/'\n");
    assert!(place.run("notices test hook").expect(2).stderr.contains("'broken' is none of"));
}
