//! The channels of several services on one store: whose are kept, and what is said where they differ.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::notice::NoticeChannel;
use crate::repository::ServiceChannels;

/// The time between two confirmations of a service.
pub const CONFIRM_EVERY: SignedDuration = SignedDuration::from_mins(10);
/// The time that the channels of a service stay that is gone and has no successor of its name: it may come back, and
/// notices that are written meanwhile wait for it.
pub const KEEP_GONE: SignedDuration = SignedDuration::from_hours(1);

/// The work of a service on the channels of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelDuty {
    /// `true` if its own are to be written.
    pub is_due: bool,
    /// The services whose channels are forgotten.
    pub gone: Vec<Uuid>,
    /// The channels that a service has which lives.
    pub live: BTreeSet<String>,
    /// Sentences about what differs between services, and about channels that nobody has any more.
    pub remarks: Vec<String>,
}

/// The channels that notices are written for, by name: the wishes of all services add up.
pub fn united(services: Vec<ServiceChannels>) -> Vec<NoticeChannel> {
    let mut by_name: BTreeMap<String, NoticeChannel> = BTreeMap::new();
    for channel in services.into_iter().flat_map(|service| service.channels) {
        match by_name.get_mut(&channel.name) {
            None => drop(by_name.insert(channel.name.clone(), channel)),
            Some(known) => {
                let further = channel.kinds.into_iter().filter(|kind| !known.kinds.contains(kind));
                known.kinds.extend(further.collect::<Vec<_>>());
                known.skips_over = known.skips_over.into_iter().chain(channel.skips_over).min();
            }
        }
    }
    by_name.into_values().collect()
}

/// The duty of a service at a moment, by what is stored and by which services live. At its start it replaces earlier
/// runs of its node.
pub fn duty(
    mine: &ServiceChannels,
    stored: &[ServiceChannels],
    lives: impl Fn(Uuid) -> bool,
    is_start: bool,
) -> ChannelDuty {
    let mut duty = ChannelDuty { is_due: is_due(mine, stored), ..ChannelDuty::default() };
    let mut kept = names(&mine.channels);
    duty.live.clone_from(&kept);
    let mut forgotten = BTreeSet::new();
    for other in stored.iter().filter(|other| other.node.boot_id != mine.node.boot_id) {
        if lives(other.node.boot_id) {
            duty.live.extend(names(&other.channels));
            duty.remarks.extend(difference(mine, other));
        } else if is_replaced(mine, other, is_start) {
            duty.gone.push(other.node.boot_id);
            forgotten.extend(names(&other.channels));
            continue;
        }
        kept.extend(names(&other.channels));
    }
    for name in forgotten.difference(&kept) {
        duty.remarks.push(format!("no service has channel '{name}' any more: no further notices are written for it"));
    }
    duty.is_due |= !duty.gone.is_empty();
    duty
}

fn is_due(mine: &ServiceChannels, stored: &[ServiceChannels]) -> bool {
    match stored.iter().find(|one| one.node.boot_id == mine.node.boot_id) {
        None => !mine.channels.is_empty(),
        Some(before) => {
            let is_old = age(before, mine.confirm_time) > CONFIRM_EVERY;
            is_old || mine.channels.len() != before.channels.len() || first_difference(mine, before).is_some()
        }
    }
}

/// An earlier run of a node that starts, or one that has been away for long.
fn is_replaced(mine: &ServiceChannels, gone: &ServiceChannels, is_start: bool) -> bool {
    (is_start && gone.node.name == mine.node.name) || age(gone, mine.confirm_time) > KEEP_GONE
}

fn age(of: &ServiceChannels, now: Timestamp) -> SignedDuration {
    now.duration_since(of.confirm_time)
}

fn names(channels: &[NoticeChannel]) -> BTreeSet<String> {
    channels.iter().map(|channel| channel.name.clone()).collect()
}

/// The sentence about what two services have set differently.
fn difference(mine: &ServiceChannels, other: &ServiceChannels) -> Option<String> {
    let differ = first_difference(mine, other)?;
    Some(format!("its channels differ from those of node '{}': {differ}; give all nodes the same", other.node.name))
}

fn first_difference(mine: &ServiceChannels, other: &ServiceChannels) -> Option<String> {
    let find = |of: &ServiceChannels, name: &str| of.channels.iter().find(|one| one.name == name).cloned();
    for channel in &mine.channels {
        match find(other, &channel.name) {
            None => return Some(format!("only this node has channel '{}'", channel.name)),
            Some(theirs) if !is_same(&theirs, channel) => {
                let (here, there) = (wants(channel), wants(&theirs));
                return Some(format!("channel '{}' is for {here} here, and for {there} there", channel.name));
            }
            Some(_) => {}
        }
    }
    let missing = other.channels.iter().find(|channel| find(mine, &channel.name).is_none());
    missing.map(|channel| format!("only that node has channel '{}'", channel.name))
}

fn is_same(one: &NoticeChannel, other: &NoticeChannel) -> bool {
    wants(one) == wants(other)
}

/// The subjects of a channel in words, in one order.
fn wants(channel: &NoticeChannel) -> String {
    let kinds: BTreeSet<&str> = channel.kinds.iter().map(|kind| kind.as_str()).collect();
    let skips = channel.skips_over.map(|count| format!("more than {count} skips"));
    let all: Vec<String> = kinds.into_iter().map(str::to_owned).chain(skips).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::NoticeKind;
    use crate::repository::Node;

    fn channel(name: &str, kinds: &[NoticeKind]) -> NoticeChannel {
        NoticeChannel { name: name.to_owned(), kinds: kinds.to_vec(), skips_over: None }
    }

    fn service(node: &str, minutes: i64, channels: &[NoticeChannel]) -> ServiceChannels {
        let confirm_time = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
        ServiceChannels { node: Node::new(node), confirm_time, channels: channels.to_vec() }
    }

    #[test]
    fn a_service_writes_its_channels_when_they_are_new_changed_or_long_unconfirmed() {
        let mail = [channel("mail", &[NoticeKind::Failed])];
        let mine = service("a", 100, &mail);
        assert!(duty(&mine, &[], |_| true, true).is_due);
        assert!(!duty(&service("a", 100, &[]), &[], |_| true, true).is_due);
        let before = |minutes, channels: &[NoticeChannel]| {
            [ServiceChannels { node: mine.node.clone(), ..service("a", minutes, channels) }]
        };
        let due = |minutes, channels: &[NoticeChannel]| duty(&mine, &before(minutes, channels), |_| true, true).is_due;
        assert!(!due(95, &mail));
        assert!(due(80, &mail));
        assert!(due(95, &[channel("mail", &[NoticeKind::Failed, NoticeKind::Late])]));
        assert!(due(95, &[mail[0].clone(), channel("chat", &[])]));
    }

    #[test]
    fn services_that_live_keep_their_channels_and_a_difference_is_said() {
        let mine = service("a", 100, &[channel("mail", &[NoticeKind::Failed])]);
        let of = |channels: &[NoticeChannel]| duty(&mine, &[service("b", 99, channels)], |_| true, true);
        assert_eq!(of(&mine.channels).remarks, Vec::<String>::new());
        let differs = of(&[channel("mail", &[NoticeKind::Late, NoticeKind::Failed])]);
        assert!(differs.remarks[0].contains("node 'b': channel 'mail' is for failed here, and for failed, late there"));
        assert!(differs.gone.is_empty());
        let other = of(&[channel("chat", &[NoticeKind::Failed]), mine.channels[0].clone()]);
        assert!(other.remarks[0].contains("only that node has channel 'chat'"), "{other:?}");
        assert_eq!(other.live, ["chat", "mail"].map(str::to_owned).into());
        assert!(of(&[]).remarks[0].contains("only this node has channel 'mail'"));
    }

    #[test]
    fn the_wishes_of_all_services_add_up() {
        let with_skips = |limit| NoticeChannel { skips_over: limit, ..channel("mail", &[NoticeKind::Failed]) };
        let services = [
            service("a", 0, &[with_skips(Some(9)), channel("chat", &[])]),
            service("b", 0, &[NoticeChannel { kinds: vec![NoticeKind::Late], ..with_skips(Some(5)) }]),
            service("c", 0, &[with_skips(None)]),
        ];
        let mail = NoticeChannel { kinds: vec![NoticeKind::Failed, NoticeKind::Late], ..with_skips(Some(5)) };
        assert_eq!(united(services.to_vec()), [channel("chat", &[]), mail]);
    }

    #[test]
    fn a_service_that_is_gone_is_replaced_by_its_successor_or_after_an_hour() {
        let chat = [channel("chat", &[NoticeKind::Failed])];
        let of = |node: &str, minutes, is_start| {
            let gone = service(node, minutes, &chat);
            (duty(&service("a", 100, &[]), std::slice::from_ref(&gone), |_| false, is_start), gone.node.boot_id)
        };
        let (successor, id) = of("a", 99, true);
        assert_eq!((successor.gone, successor.is_due), (vec![id], true));
        assert!(successor.remarks[0].contains("no service has channel 'chat' any more"));
        let (beside, _) = of("a", 99, false);
        assert_eq!(beside, ChannelDuty::default(), "it has lived beside this one and is no earlier run of it");
        let (other, _) = of("b", 41, true);
        assert_eq!(other, ChannelDuty::default(), "it may come back, and nobody who lives has its channel");
        let (long_gone, id) = of("b", 39, false);
        assert_eq!(long_gone.gone, [id]);
    }
}
