//! Traces: what an OpenTelemetry collector is sent, and that nothing waits for one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::harness::{LONG, Service, TestStore};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A collector that takes whatever it is sent.
struct Collector {
    address: String,
    requests: mpsc::Receiver<ExportTraceServiceRequest>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                while let Some(request) = receive(stream.as_ref().unwrap()) {
                    if sender.send(request).is_err() {
                        return;
                    }
                }
            }
        });
        Self { address, requests }
    }

    /// Spans until there is one of each of these names.
    fn spans(&self, names: &[&str]) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        while !names.iter().all(|name| spans.iter().any(|span| span.name == *name)) {
            let request = self.requests.recv_timeout(LONG).unwrap();
            for resource in request.resource_spans {
                let attributes = resource.resource.unwrap().attributes;
                assert!(attributes.iter().any(|it| it.key == "service.name"), "{attributes:?}");
                spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        }
        spans
    }
}

/// One request of a connection, answered with success.
fn receive(stream: &TcpStream) -> Option<ExportTraceServiceRequest> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    assert_eq!(line.trim_end(), "POST /v1/traces HTTP/1.1");
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "content-type" => assert_eq!(value, "application/x-protobuf"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    (&*stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    Some(ExportTraceServiceRequest::decode(body.as_slice()).unwrap())
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans.iter().find(|span| span.name == name).unwrap()
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|it| it.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_execution_is_a_span_of_its_caller_s_trace_and_its_steps_are_within() {
    for place in TestStore::of_each_kind() {
        let collector = Collector::start();
        let service = Service::start_with(
            &place,
            &format!("--listen 127.0.0.1:0 --log-level off --otlp-endpoint {}", collector.address),
        );
        let mut launch = place.command("launch ChunkJob --wait");
        place.finish(launch.env("TRACEPARENT", PARENT)).expect(0);
        let spans = collector.spans(&["ChunkJob", "ProcessNumbers"]);
        let (execution, step) = (named(&spans, "ChunkJob"), named(&spans, "ProcessNumbers"));
        assert_eq!(hex(&execution.trace_id), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(hex(&execution.parent_span_id), "b7ad6b7169203331");
        assert_eq!(execution.status.as_ref().unwrap().code, 1);
        assert_eq!((&step.trace_id, &step.parent_span_id), (&execution.trace_id, &execution.span_id));
        assert_eq!(attribute(step, "oxbatch.items.read").as_deref(), Some("50"));
        assert!(execution.start_time_unix_nano <= step.start_time_unix_nano);
        assert!(step.end_time_unix_nano <= execution.end_time_unix_nano);
        let shown = place.run("show 1 --json").expect(0).json();
        assert_eq!(shown["execution"]["traceparent"], PARENT);
        service.terminate();
    }
}

#[test]
fn attempts_are_linked_and_messages_stay_at_home() {
    let (place, collector) = (TestStore::new(), Collector::start());
    let run = format!("run FailingJob --otlp-endpoint {}", collector.address);
    place.run(&run).expect(1);
    let first = collector.spans(&["FailingJob"]);
    place.run(&run).expect(1);
    let second = collector.spans(&["FailingJob"]);
    let (first, second) = (named(&first, "FailingJob"), named(&second, "FailingJob"));
    assert_ne!(first.trace_id, second.trace_id);
    let link = second.links.first().expect("a link to the attempt before");
    assert_eq!((&link.trace_id, &link.span_id), (&first.trace_id, &first.span_id));
    let status = second.status.as_ref().unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "FAILED: oxbatch show 2 has the reason"));
}

#[test]
fn a_trace_that_is_not_sampled_is_not_sent() {
    let (place, collector) = (TestStore::new(), Collector::start());
    let run = format!("run SampleJob --new --otlp-endpoint {}", collector.address);
    place.finish(place.command(&run).env("TRACEPARENT", PARENT.replace("-01", "-00"))).expect(0);
    place.finish(place.command(&run).env("TRACEPARENT", "nonsense")).expect(0);
    let spans = collector.spans(&["SampleJob"]);
    let executions: Vec<_> = spans.iter().filter_map(|span| attribute(span, "oxbatch.execution")).collect();
    assert!(executions.iter().all(|id| id == "2"), "{executions:?}");
}

#[test]
fn a_collector_that_is_away_or_hangs_holds_nothing_up() {
    let place = TestStore::new();
    let away = place.run("run SampleJob --otlp-endpoint http://127.0.0.1:1").expect(0);
    assert!(away.stderr.contains("the collector of traces does not take spans: they are lost until it does"), "{away}");
    // It accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let began = Instant::now();
    let address = silent.local_addr().unwrap();
    let hung = place.run(&format!("run SampleJob --new --otlp-endpoint http://{address}")).expect(0);
    assert!(hung.stderr.contains("has not taken the last spans in time"), "{hung}");
    assert!(began.elapsed() < LONG);
    let refused = place.run("run SampleJob --otlp-endpoint localhost:4318").expect(2);
    assert!(refused.stderr.contains("flag --otlp-endpoint: 'localhost:4318' is no address"), "{refused}");
}
