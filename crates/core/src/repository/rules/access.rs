//! Access: the rights of a role, the tokens that hold, and the bound on failed logins.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::access::{Grant, Right, Role, Session, Token, TokenRefusal};

/// Failures of an address within [`FAILURE_WINDOW`] after which it has to wait.
pub const MOST_FAILURES: u32 = 10;
/// The time in which failures are counted together.
pub const FAILURE_WINDOW: Duration = Duration::from_secs(60);
/// The first wait of an address; doubled by each further one.
pub const FIRST_WAIT: Duration = Duration::from_secs(60);
/// The longest wait of an address.
pub const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// The time without failures after which those of an address are forgotten.
pub const FORGET_AFTER: Duration = Duration::from_secs(3600);
/// Least time between two records of a token's use.
const USE_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Returns whether a grant includes a right.
pub fn may(grant: Grant, right: Right) -> bool {
    match right {
        Right::Data => grant.data || grant.role >= Role::Operator,
        right => grant.role >= right.least_role(),
    }
}

/// The reason why a token does not hold now.
///
/// # Errors
/// When it was revoked or has expired.
pub fn check_token(token: &Token, now: Timestamp) -> Result<(), TokenRefusal> {
    if let Some(at) = token.revoke_time {
        return Err(TokenRefusal::Revoked { at });
    }
    match token.expire_time {
        Some(at) if at <= now => Err(TokenRefusal::Expired { at }),
        _ => Ok(()),
    }
}

/// The reason why a session does not hold now: it ends with its token.
///
/// # Errors
/// When its time is over, or its token holds no more.
pub fn check_session(session: &Session, now: Timestamp) -> Result<(), TokenRefusal> {
    if session.expire_time <= now {
        return Err(TokenRefusal::SessionExpired { at: session.expire_time });
    }
    check_token(&session.token, now)
}

/// The moment from which a session of a token holds no more: never later than the token itself.
pub fn session_end(token: &Token, now: Timestamp) -> Timestamp {
    let end = now.checked_add(crate::access::SESSION_TIME).unwrap_or(Timestamp::MAX);
    token.expire_time.map_or(end, |expires| expires.min(end))
}

/// Returns whether a use of a token is worth a record: at most one a minute.
pub fn is_use_recorded(token: &Token, now: Timestamp) -> bool {
    token.last_use_time.is_none_or(|last| now.duration_since(last) >= USE_EVERY)
}

/// The failed logins of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// Failures in the window.
    count: u32,
    /// The first of them.
    since: Timestamp,
    /// The last failure.
    last: Timestamp,
    /// Waits so far.
    waits: u32,
    /// The end of the last wait.
    blocked_until: Option<Timestamp>,
}

impl Failures {
    /// The first failure.
    fn first(now: Timestamp) -> Self {
        Self { count: 1, since: now, last: now, waits: 0, blocked_until: None }
    }

    /// The time that is left of a wait.
    pub fn wait(&self, now: Timestamp) -> Option<Duration> {
        let left = self.blocked_until?.duration_since(now);
        Duration::try_from(left).ok().filter(|left| !left.is_zero())
    }

    /// When it failed last.
    pub fn last(&self) -> Timestamp {
        self.last
    }

    /// Returns whether they are long past.
    pub fn are_forgotten(&self, now: Timestamp) -> bool {
        self.wait(now).is_none() && now.duration_since(self.last) >= signed(FORGET_AFTER)
    }
}

/// The failures of an address after one more.
pub fn after_failure(before: Option<Failures>, now: Timestamp) -> Failures {
    let Some(before) = before.filter(|before| !before.are_forgotten(now)) else { return Failures::first(now) };
    if before.wait(now).is_some() {
        return Failures { last: now, ..before };
    }
    let goes_on = now.duration_since(before.since) < signed(FAILURE_WINDOW);
    let (count, since) = if goes_on { (before.count + 1, before.since) } else { (1, now) };
    if count < MOST_FAILURES {
        return Failures { count, since, last: now, ..before };
    }
    let wait = FIRST_WAIT.saturating_mul(1 << before.waits.min(16)).min(LONGEST_WAIT);
    let until = now.checked_add(wait).unwrap_or(Timestamp::MAX);
    Failures { count: 0, since: now, last: now, waits: before.waits + 1, blocked_until: Some(until) }
}

fn signed(time: Duration) -> SignedDuration {
    SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::TokenId;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn token(role: Role, data: bool) -> Token {
        let grant = Grant { role, data };
        let id = TokenId(1);
        let name = "ci".to_owned();
        Token {
            id,
            name,
            grant,
            create_time: at(0),
            expire_time: Some(at(100)),
            revoke_time: None,
            last_use_time: None,
        }
    }

    #[test]
    fn each_role_has_the_rights_of_those_before_it_and_data_adds_one() {
        let rights = |role, data| Right::ALL.map(|right| may(Grant { role, data }, right));
        assert_eq!(rights(Role::Viewer, false), [true, false, false, false]);
        assert_eq!(rights(Role::Viewer, true), [true, true, false, false]);
        assert_eq!(rights(Role::Operator, false), [true, true, true, false]);
        assert_eq!(rights(Role::Admin, false), [true, true, true, true]);
    }

    #[test]
    fn a_token_holds_until_it_expires_or_is_revoked_and_a_session_no_longer() {
        let good = token(Role::Viewer, false);
        assert_eq!(check_token(&good, at(99)), Ok(()));
        assert_eq!(check_token(&good, at(100)), Err(TokenRefusal::Expired { at: at(100) }));
        let revoked = Token { revoke_time: Some(at(5)), ..good.clone() };
        assert_eq!(check_token(&revoked, at(6)), Err(TokenRefusal::Revoked { at: at(5) }));
        assert_eq!(session_end(&good, at(0)), at(100));
        let for_ever = Token { expire_time: None, ..good };
        assert_eq!(check_token(&for_ever, at(1_000_000_000)), Ok(()));
        assert_eq!(session_end(&for_ever, at(0)), at(12 * 3600));
        let session = Session { token: for_ever, expire_time: at(50) };
        assert_eq!(check_session(&session, at(49)), Ok(()));
        assert_eq!(check_session(&session, at(50)), Err(TokenRefusal::SessionExpired { at: at(50) }));
        let session = Session { token: revoked, expire_time: at(50) };
        assert_eq!(check_session(&session, at(6)), Err(TokenRefusal::Revoked { at: at(5) }));
    }

    #[test]
    fn a_use_is_recorded_once_a_minute() {
        let mut token = token(Role::Viewer, false);
        assert!(is_use_recorded(&token, at(0)));
        token.last_use_time = Some(at(0));
        assert!(!is_use_recorded(&token, at(59)) && is_use_recorded(&token, at(60)));
    }

    #[test]
    fn ten_failures_within_a_minute_make_an_address_wait_longer_each_time() {
        let fail = |mut failures: Option<Failures>, times: u32, second: i64| {
            for _ in 0..times {
                failures = Some(after_failure(failures, at(second)));
            }
            failures
        };
        let nine = fail(None, 9, 0);
        assert_eq!(nine.unwrap().wait(at(0)), None);
        let ten = fail(nine, 1, 59).unwrap();
        assert_eq!(ten.wait(at(59)), Some(Duration::from_secs(60)));
        assert_eq!(ten.wait(at(100)), Some(Duration::from_secs(19)));
        assert_eq!(ten.wait(at(119)), None);
        let slow = fail(nine, 1, 60).unwrap();
        assert_eq!(slow.wait(at(60)), None, "they did not come within a minute");
        let meanwhile = fail(Some(ten), 50, 100).unwrap();
        assert_eq!(meanwhile.wait(at(100)), ten.wait(at(100)), "a wait is not prolonged");
        let again = fail(Some(ten), 10, 119).unwrap();
        assert_eq!(again.wait(at(119)), Some(Duration::from_secs(120)));
        let mut later = again;
        for _ in 0..20 {
            let end = later.blocked_until.unwrap().as_second() - 1_000_000;
            later = fail(Some(later), 10, end).unwrap();
        }
        assert_eq!(later.wait(later.last), Some(LONGEST_WAIT));
        let end = later.last.as_second() - 1_000_000 + 3600;
        assert_eq!(fail(Some(later), 1, end).unwrap(), Failures::first(at(end)));
    }
}
