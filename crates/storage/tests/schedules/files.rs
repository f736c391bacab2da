//! Schedules of files: each version fires once, when it is written.

use std::path::Path;
use std::time::Duration;

use oxbatch_core::execution::Status;
use oxbatch_core::{Job, JobRegistry, Schedule, TaskStep};

use super::code::{fires, node, until};

fn job(folder: &Path) -> Job {
    let inbox = folder.join("in");
    std::fs::create_dir_all(&inbox).unwrap();
    let step = TaskStep::builder("Read", |context| {
        let path = context.parameters().string("file")?;
        let taken = std::fs::read_to_string(path)?;
        let (folder, _) = path.rsplit_once("/in/").ok_or("not in the inbox")?;
        let mut all = std::fs::OpenOptions::new().create(true).append(true).open(format!("{folder}/taken"))?;
        std::io::Write::write_all(&mut all, format!("{taken}\n").as_bytes())?;
        Ok(())
    });
    let pattern = |end: &str| format!("{}/*{end}", inbox.display());
    Job::builder("Import")
        .step(step)
        .schedule(Schedule::file(pattern(".csv")).unchanged_for(Duration::from_secs(1)))
        .schedule(Schedule::file(pattern(".dat")).marker(".done").named("marked"))
        .build()
        .unwrap()
}

fn taken(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("taken")).unwrap_or_default();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_version_of_a_file_fires_once_on_two_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let at = |name: &str| folder.join("in").join(name);
    JobRegistry::new([job(folder)]).unwrap();
    std::fs::write(at("a.csv"), "first").unwrap();
    std::fs::write(at("b.dat"), "marked").unwrap();
    std::fs::write(at("c.txt"), "other").unwrap();
    let nodes = [node(folder, [job(folder)]).await, node(folder, [job(folder)]).await];
    let complete = async |count: usize| {
        until(async || {
            fires(&nodes[0]).await.iter().filter(|fire| fire.status == Some(Status::Completed)).count() == count
        })
        .await;
    };
    complete(1).await;
    assert_eq!(taken(folder), ["first"], "the other has no marker yet");
    std::fs::write(at("b.dat.done"), "").unwrap();
    complete(2).await;
    // The same name again, with other content: another version of the same instance.
    std::fs::write(at("a.csv"), "second version").unwrap();
    complete(3).await;
    assert_eq!(taken(folder), ["first", "marked", "second version"]);
    let all = fires(&nodes[1]).await;
    assert_eq!(all.len(), 3);
    assert!(all.iter().any(|fire| fire.file.ends_with("/in/b.dat 6")), "{all:?}");
    // A process that begins has seen nothing, and the rows have.
    for node in nodes {
        node.shutdown().await;
    }
    let third = node(folder, [job(folder)]).await;
    std::fs::write(at("d.csv"), "third").unwrap();
    until(async || fires(&third).await.iter().filter(|fire| fire.status == Some(Status::Completed)).count() == 4).await;
    assert_eq!(taken(folder).len(), 4);
    third.shutdown().await;
}
