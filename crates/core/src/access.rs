//! Access: tokens with their roles, sessions and one-time codes that stand for them, and the rights of each role.

mod credential;
mod role;
mod token;

pub use credential::{Credential, CredentialKind, RandomError, hash_of};
pub use role::{Grant, Right, Role};
pub use token::{LOGIN_CODE_TIME, NewToken, SESSION_TIME, Session, TOKEN_TIME, Token, TokenId, TokenRefusal};
