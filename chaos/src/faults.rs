//! The faults of the nodes, of the server, and of the wires between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use oxbatch_test_postgres::Wire;

use crate::jobs::QUICK;
use crate::node::{LEASE, Node, QUEUE_LIMIT, fake_time};
use crate::random::Random;
use crate::server::Server;

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Kill,
    KillAll,
    /// Stopped for longer than its lease, then let go on: a zombie.
    Freeze,
    /// One is frozen while another is killed.
    FreezeAndKill,
    RestartFast,
    RestartImmediate,
    Cut,
    Silence,
    Terminate,
    Drain,
    FillQueue,
    SkewClock,
}

const ALL: [Kind; 12] = [
    Kind::Kill,
    Kind::Freeze,
    Kind::RestartImmediate,
    Kind::Cut,
    Kind::FillQueue,
    Kind::SkewClock,
    Kind::FreezeAndKill,
    Kind::RestartFast,
    Kind::Silence,
    Kind::Drain,
    Kind::KillAll,
    Kind::Terminate,
];

/// The nodes, the server, and how wrong each node's clock is.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) server: Server,
    clocks: Vec<i64>,
}

/// Deals the kinds: each comes once before any comes again.
pub(crate) struct Deck {
    random: Random,
    cards: Vec<Kind>,
}

impl Deck {
    pub(crate) fn new(random: Random) -> Self {
        Self { random, cards: Vec::new() }
    }

    pub(crate) fn next(&mut self) -> Kind {
        if self.cards.is_empty() {
            self.cards = ALL.to_vec();
            for place in (1..self.cards.len()).rev() {
                let other = usize::try_from(self.random.below(place as u64 + 1)).unwrap_or(0);
                self.cards.swap(place, other);
            }
        }
        self.cards.pop().unwrap_or(Kind::Kill)
    }
}

fn pause(random: &mut Random, from: u64, to: u64) {
    std::thread::sleep(Duration::from_millis(from + random.below(to - from)));
}

impl Cluster {
    pub(crate) fn new(nodes: Vec<Arc<Node>>, server: Server) -> Self {
        let clocks = vec![0; nodes.len()];
        Self { nodes, server, clocks }
    }

    /// Starts what does not run, mends every wire.
    pub(crate) fn heal(&self) -> Result<(), String> {
        for (node, clock) in self.nodes.iter().zip(&self.clocks) {
            node.proxy.set(Wire::Whole);
            node.signal("CONT");
            node.ensure(*clock)?;
        }
        Ok(())
    }

    /// Does one thing and undoes it. What it says is for people.
    pub(crate) fn strike(&mut self, kind: Kind, random: &mut Random) -> Result<String, String> {
        let number = usize::try_from(random.below(self.nodes.len() as u64)).unwrap_or(0);
        let other = (number + 1) % self.nodes.len();
        let (node, clock) = (Arc::clone(&self.nodes[number]), self.clocks[number]);
        let name = node.name.clone();
        match kind {
            Kind::Kill => {
                node.kill()?;
                pause(random, 0, 1_500);
                node.ensure(clock)?;
            }
            Kind::KillAll => {
                for node in &self.nodes {
                    node.kill()?;
                }
                self.heal()?;
                return Ok("all nodes".to_owned());
            }
            Kind::Freeze => self.freeze(number, random, |_| Ok(()))?,
            Kind::FreezeAndKill => {
                self.freeze(number, random, |cluster| cluster.nodes[other].kill())?;
                self.nodes[other].ensure(self.clocks[other])?;
                return Ok(format!("{name}, and killed {}", self.nodes[other].name));
            }
            Kind::RestartFast | Kind::RestartImmediate => {
                let mode = if kind == Kind::RestartFast { "fast" } else { "immediate" };
                self.server.restart(mode)?;
                return Ok("the server".to_owned());
            }
            Kind::Cut => {
                node.proxy.set(Wire::Cut);
                pause(random, 100, 5_000);
                node.proxy.set(Wire::Whole);
            }
            Kind::Silence => {
                node.proxy.set(Wire::Silent);
                pause(random, 500, 6_000);
                // What is late arrives, or is torn with its connection.
                node.proxy.set(if random.below(2) == 0 { Wire::Whole } else { Wire::Cut });
                pause(random, 50, 100);
                node.proxy.set(Wire::Whole);
            }
            Kind::Terminate => {
                node.signal("TERM");
                node.await_end(Duration::from_secs(30))?;
                pause(random, 0, 1_000);
                node.ensure(clock)?;
            }
            Kind::Drain => return self.drain(number, other, random),
            Kind::FillQueue => return Ok(fill_queue(&node, random)),
            Kind::SkewClock => {
                let Some(_) = fake_time() else { return Ok("no clock: libfaketime is not installed".to_owned()) };
                self.clocks[number] = *random.pick(&[-86_400, -300, -30, 30, 300, 86_400]);
                node.kill()?;
                node.ensure(self.clocks[number])?;
                return Ok(format!("{name} by {} s", self.clocks[number]));
            }
        }
        Ok(name)
    }

    fn freeze(
        &self,
        number: usize,
        random: &mut Random,
        meanwhile: impl FnOnce(&Self) -> Result<(), String>,
    ) -> Result<(), String> {
        let node = &self.nodes[number];
        node.signal("STOP");
        let done = meanwhile(self);
        std::thread::sleep(LEASE + Duration::from_millis(500));
        pause(random, 0, 2_000);
        node.signal("CONT");
        done
    }

    fn drain(&self, number: usize, other: usize, random: &mut Random) -> Result<String, String> {
        let node = &self.nodes[number];
        let stop = random.below(2) == 0;
        let asked = self.nodes[other].ask("GET", "/nodes", None, "");
        let id = asked.ok().and_then(|answer| {
            let nodes = answer.body.as_array()?.clone();
            let named = nodes.into_iter().find(|it| it["name"] == node.name.as_str() && it["state"] == "live")?;
            named["id"].as_str().map(str::to_owned)
        });
        let Some(id) = id else { return Ok(format!("{}: not seen as live", node.name)) };
        let path = format!("/nodes/{id}/drain?exit=true&stop={stop}");
        match self.nodes[other].ask("POST", &path, None, "") {
            Ok(answer) if answer.status == 200 => {
                node.await_end(Duration::from_secs(60))?;
                node.ensure(self.clocks[number])?;
                Ok(format!("{}, stop={stop}", node.name))
            }
            answer => Ok(format!("{}: not drained, {answer:?}", node.name)),
        }
    }
}

fn fill_queue(node: &Node, random: &mut Random) -> String {
    let (mut accepted, mut full) = (0, 0);
    let mut answers: BTreeMap<u16, u32> = BTreeMap::new();
    for _ in 0..QUEUE_LIMIT + 40 {
        let body = format!("{{\"id\":{}}}", random.next() >> 12);
        match node.ask("POST", &format!("/jobs/{QUICK}/launch"), None, &body) {
            Ok(answer) if answer.status == 202 => accepted += 1,
            Ok(answer) if answer.status == 429 => full += 1,
            Ok(answer) => *answers.entry(answer.status).or_default() += 1,
            Err(_) => *answers.entry(0).or_default() += 1,
        }
    }
    format!("{}: {accepted} accepted, {full} refused, others {answers:?}", node.name)
}
