//! Notices as the settings want them: by a command, or by a signed webhook.

mod address;
mod command;
#[cfg(test)]
mod outage;
mod template;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oxbatch_core::notice::{Notice, NoticeChannel, NoticeKind, NoticeSender};

use template::Template;
use webhook::Webhook;

/// A channel of the settings.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) kinds: Vec<NoticeKind>,
    pub(crate) skips_over: Option<u32>,
    pub(crate) way: Way,
    pub(crate) body: Option<String>,
}

/// The way of a notice to its receiver.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// The program and its arguments; the body is its standard input.
    Command(Vec<String>),
    /// A POST.
    Webhook { url: String, secret_file: Option<PathBuf>, private: bool },
}

/// The channels of this process.
#[derive(Debug, Clone)]
pub(crate) struct Channels {
    channels: Arc<[(Channel, Template)]>,
    webhook: Webhook,
}

impl Channels {
    /// The channels of the settings.
    ///
    /// # Errors
    /// The sentence about a template or an address that is none.
    pub(crate) fn new(channels: Vec<Channel>) -> Result<Self, String> {
        let with_template = |channel: Channel| {
            let of = |problem: String| format!("notices.{}: {problem}", channel.name);
            let template = Template::new(channel.body.as_deref()).map_err(of)?;
            match &channel.way {
                Way::Webhook { url, .. } => address::check_url(url).map_err(of)?,
                Way::Command(arguments) => {
                    arguments.iter().try_for_each(|it| Template::new(Some(it)).map(drop)).map_err(of)?
                }
            }
            Ok((channel, template))
        };
        let channels = channels.into_iter().map(with_template).collect::<Result<Vec<_>, String>>()?;
        Ok(Self { channels: channels.into(), webhook: Webhook::new() })
    }

    /// The names of the channels.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.channels.iter().map(|(channel, _)| channel.name.as_str()).collect()
    }
}

impl NoticeSender for Channels {
    fn channels(&self) -> Vec<NoticeChannel> {
        let of = |(channel, _): &(Channel, Template)| NoticeChannel {
            name: channel.name.clone(),
            kinds: channel.kinds.clone(),
            skips_over: channel.skips_over,
        };
        self.channels.iter().map(of).collect()
    }

    fn deliver<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), String>> {
        let found = self.channels.iter().find(|(channel, _)| channel.name == notice.channel).cloned();
        let (notice, webhook) = (notice.clone(), self.webhook.clone());
        async move {
            let (channel, template) = found.ok_or_else(|| "the settings have no such channel".to_owned())?;
            let body = template.filled(&notice, template::json);
            // Both block: on a thread of their own, so that a receiver that hangs holds up nothing else.
            let sent = tokio::task::spawn_blocking(move || match &channel.way {
                Way::Command(arguments) => {
                    let fill = |argument: &String| {
                        let template = Template::new(Some(argument))?;
                        Ok(template.filled(&notice, |text| text.to_owned()))
                    };
                    let arguments = arguments.iter().map(fill).collect::<Result<Vec<_>, String>>()?;
                    command::run(&arguments, &body)
                }
                Way::Webhook { url, secret_file, private } => {
                    webhook.post(url, secret_file.as_deref(), *private, (&notice, &body))
                }
            });
            sent.await.unwrap_or_else(|error| Err(error.to_string()))
        }
        .boxed()
    }
}
