// One stream of events for all pages of a browser: browsers open six connections to a host, and each stream keeps one.
"use strict";

const RETRY_MS = 3000;
// The pages that are open, each with whether it is seen.
const ports = new Map();
let source = null;
let retry = 0;

function tell(message) {
  for (const port of ports.keys()) port.postMessage(message);
}

function isSeen() {
  for (const seen of ports.values()) if (seen) return true;
  return false;
}

function open() {
  clearTimeout(retry);
  if (source !== null || !isSeen()) return;
  source = new EventSource("/events");
  source.onopen = () => {
    tell({ kind: "open" });
  };
  source.addEventListener("execution", (event) => tell({ kind: "event", id: String(JSON.parse(event.data).id) }));
  source.addEventListener("step", (event) => tell({ kind: "event", id: String(JSON.parse(event.data).job_execution_id) }));
  source.onerror = () => {
    tell({ kind: "lost" });
    // It comes back by itself with its last id, unless the service has refused it.
    if (source !== null && source.readyState === EventSource.CLOSED) {
      source = null;
      retry = setTimeout(open, RETRY_MS);
    }
  };
}

function update() {
  if (isSeen()) {
    open();
  } else if (source !== null) {
    source.close();
    source = null;
    clearTimeout(retry);
  }
}

onconnect = (event) => {
  const port = event.ports[0];
  ports.set(port, false);
  port.onmessage = (message) => {
    if (message.data === "bye") ports.delete(port);
    else ports.set(port, message.data === "seen");
    update();
    if (message.data === "seen" && source !== null && source.readyState === EventSource.OPEN) port.postMessage({ kind: "open" });
  };
};
