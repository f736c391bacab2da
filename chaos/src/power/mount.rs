//! The disk as a file system, through FUSE: what any program writes to it is in memory, and can be lost.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::disk::{Content, Disk, Entries, Kind, Node};
use super::switch::{State, Switch};

/// Nobody but the kernel changes anything: what it knows stays right.
const KNOWN: Duration = Duration::from_secs(3600);
/// A file longer than this is a fault of the test.
const MAX_LENGTH: u64 = 1 << 30;
const BLOCK: u32 = 4096;
const BLOCKS: u64 = 1 << 24;

/// The file system of a disk under power.
#[derive(Debug)]
pub(crate) struct Mount {
    switch: Arc<Switch>,
}

impl Mount {
    pub(crate) fn new(switch: Arc<Switch>) -> Self {
        Self { switch }
    }

    /// Changes names at a point of order.
    fn order<T>(
        &self,
        what: &'static str,
        at: (INodeNo, &OsStr),
        change: impl FnOnce(&mut Disk) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let path = self.switch.state().disk.path(at.0.0).join(at.1);
        let mut state = self.switch.order(what, path, String::new()).ok_or(Errno::EIO)?;
        change(&mut state.disk)
    }

    fn make(&self, what: &'static str, at: (INodeNo, &OsStr), node: Node) -> Result<FileAttr, Errno> {
        self.order(what, at, |disk| {
            let number = disk.create(at.0.0, at.1, node)?;
            attributes(disk, number)
        })
    }

    fn force(&self, number: INodeNo, what: &'static str) -> Result<(), Errno> {
        let path = self.switch.state().disk.path(number.0);
        let mut state = self.switch.order(what, path, String::new()).ok_or(Errno::EIO)?;
        state.disk.force(number.0)
    }

    fn set_length(&self, number: INodeNo, length: u64) -> Result<(), Errno> {
        let length = index(length)?;
        let path = self.switch.state().disk.path(number.0);
        let mut state = self.switch.order("truncate", path, format!(" to {length}")).ok_or(Errno::EIO)?;
        state.disk.content(number.0)?.set_length(length);
        Ok(())
    }

    fn write_to(&self, number: INodeNo, at: u64, bytes: &[u8]) -> Result<u32, Errno> {
        let start = index(at)?;
        let mut state = self.switch.write(number.0, format!(" {start}+{}", bytes.len())).ok_or(Errno::EIO)?;
        state.disk.content(number.0)?.write(start, bytes);
        u32::try_from(bytes.len()).map_err(|_| Errno::EFBIG)
    }
}

fn index(number: u64) -> Result<usize, Errno> {
    usize::try_from(number).ok().filter(|_| number <= MAX_LENGTH).ok_or(Errno::EFBIG)
}

fn node(request: &Request, kind: Kind, mode: u32, umask: u32) -> Node {
    Node { kind, mode: mode & !umask & 0o7777, owner: (request.uid(), request.gid()) }
}

fn attributes(disk: &Disk, number: u64) -> Result<FileAttr, Errno> {
    let node = disk.node(number)?;
    let (kind, size) = match &node.kind {
        Kind::File(content) => (FileType::RegularFile, content.now().len() as u64),
        Kind::Folder(_) => (FileType::Directory, u64::from(BLOCK)),
        Kind::Link(path) => (FileType::Symlink, path.as_os_str().len() as u64),
    };
    let time = SystemTime::UNIX_EPOCH;
    Ok(FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind,
        perm: u16::try_from(node.mode & 0o7777).unwrap_or(0o600),
        nlink: 1,
        uid: node.owner.0,
        gid: node.owner.1,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    })
}

fn answer_entry(reply: ReplyEntry, found: Result<FileAttr, Errno>) {
    match found {
        Ok(attributes) => reply.entry(&KNOWN, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn answer_empty(reply: ReplyEmpty, done: Result<(), Errno>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn answer_attributes(reply: ReplyAttr, found: Result<FileAttr, Errno>) {
    match found {
        Ok(attributes) => reply.attr(&KNOWN, &attributes),
        Err(error) => reply.error(error),
    }
}

fn bytes_at(state: &State, number: u64, at: u64, size: u32) -> Result<Vec<u8>, Errno> {
    let Kind::File(content) = &state.disk.node(number)?.kind else { return Err(Errno::EISDIR) };
    let length = content.now().len();
    let start = index(at)?.min(length);
    let end = start.saturating_add(size as usize).min(length);
    Ok(content.now()[start..end].to_vec())
}

impl Filesystem for Mount {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let state = self.switch.state();
        let found = state.disk.lookup(parent.0, name).and_then(|number| attributes(&state.disk, number));
        answer_entry(reply, found);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let found = attributes(&self.switch.state().disk, ino.0);
        answer_attributes(reply, found);
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let cut = size.map_or(Ok(()), |size| self.set_length(ino, size));
        let mut state = self.switch.state();
        let changed = cut.and_then(|()| {
            let node = state.disk.node_mut(ino.0)?;
            node.mode = mode.map_or(node.mode, |mode| mode & 0o7777);
            node.owner = (uid.unwrap_or(node.owner.0), gid.unwrap_or(node.owner.1));
            attributes(&state.disk, ino.0)
        });
        answer_attributes(reply, changed);
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.switch.state().disk.node(ino.0) {
            Ok(Node { kind: Kind::Link(path), .. }) => reply.data(path.as_os_str().as_encoded_bytes()),
            _ => reply.error(Errno::EINVAL),
        }
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let folder = node(request, Kind::Folder(Entries::new()), mode, umask);
        answer_entry(reply, self.make("mkdir", (parent, name), folder));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer_empty(reply, self.order("unlink", (parent, name), |disk| disk.unlink(parent.0, name)));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer_empty(reply, self.order("rmdir", (parent, name), |disk| disk.unlink(parent.0, name)));
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let link = node(request, Kind::Link(target.to_owned()), 0o777, 0);
        answer_entry(reply, self.make("symlink", (parent, name), link));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let renamed = self.order("rename", (parent, name), |disk| {
            let is_taken = disk.lookup(newparent.0, newname).is_ok();
            if flags.contains(RenameFlags::RENAME_EXCHANGE) {
                return Err(Errno::EINVAL);
            }
            if flags.contains(RenameFlags::RENAME_NOREPLACE) && is_taken {
                return Err(Errno::EEXIST);
            }
            disk.rename((parent.0, name), (newparent.0, newname))
        });
        answer_empty(reply, renamed);
    }

    fn link(&self, _: &Request, ino: INodeNo, newparent: INodeNo, newname: &OsStr, reply: ReplyEntry) {
        let linked = self.order("link", (newparent, newname), |disk| {
            disk.link(ino.0, newparent.0, newname)?;
            attributes(disk, ino.0)
        });
        answer_entry(reply, linked);
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // What the kernel holds of a file is right, and may be mapped into somebody's memory: SQLite maps its -shm.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let file = node(request, Kind::File(Content::default()), mode, umask);
        match self.make("create", (parent, name), file) {
            Ok(attributes) => {
                reply.created(&KNOWN, &attributes, Generation(0), FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let bytes = bytes_at(&self.switch.state(), ino.0, offset, size);
        match bytes {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.write_to(ino, offset, data) {
            Ok(written) => reply.written(written),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // The end of a descriptor forces nothing.
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, datasync: bool, reply: ReplyEmpty) {
        answer_empty(reply, self.force(ino, if datasync { "fdatasync" } else { "fsync" }));
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer_empty(reply, self.force(ino, "fsync of the folder"));
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let state = self.switch.state();
        let entries = match state.disk.entries(ino.0) {
            Ok(entries) => entries,
            Err(error) => return reply.error(error),
        };
        // By their numbers, so that none is passed over while others are removed.
        let mut rest: Vec<_> = entries.iter().filter(|(_, number)| **number > offset).collect();
        rest.sort_unstable_by_key(|(_, number)| **number);
        for (name, number) in rest {
            let Ok(attributes) = attributes(&state.disk, *number) else { continue };
            if reply.add(INodeNo(*number), *number, attributes.kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(BLOCKS, BLOCKS / 2, BLOCKS / 2, BLOCKS, BLOCKS / 2, BLOCK, 255, BLOCK);
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        if mode != 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let long = self.switch.state().disk.content(ino.0).map(|content| content.now().len() as u64);
        answer_empty(
            reply,
            long.and_then(|long| {
                let asked = offset.saturating_add(length);
                if asked > long { self.set_length(ino, asked) } else { Ok(()) }
            }),
        );
    }
}
