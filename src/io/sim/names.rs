//! The simulated disk's names: directories, creations, renames, removals, locks.
//!
//! A directory holds the names that are durable, those that are visible, and the changes between, in
//! order; `sync_dir` makes them durable, and a power cut (in `disk.rs`) lets some of them survive. A
//! change carries its inode, so that any subset can be applied.

use super::Held;
use super::disk::{Inode, State, eio};
use super::faults::{Content, PendingWrite};
use super::plan::{Act, Failure};
use crate::base::{Error, Result};
use crate::io::fs::check_same_dir;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// Names and their inodes; copies of a disk share them until one of them changes.
pub(super) type Names = Arc<BTreeMap<String, u64>>;

#[derive(Clone, Debug, Default)]
pub(super) struct Dir {
    pub durable: Names,
    pub visible: Names,
    pub pending: Vec<NameChange>,
}

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Link(String, u64),
    Rename(String, String, u64),
    Unlink(String),
}

impl NameChange {
    pub fn apply(&self, names: &mut Names) {
        let names = Arc::make_mut(names);
        match self {
            NameChange::Link(name, inode) => names.insert(name.clone(), *inode),
            NameChange::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode)
            }
            NameChange::Unlink(name) => names.remove(name),
        };
    }

    pub fn inode(&self) -> Option<u64> {
        match self {
            NameChange::Link(_, inode) | NameChange::Rename(_, _, inode) => Some(*inode),
            NameChange::Unlink(_) => None,
        }
    }
}

fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

impl Dir {
    /// The inodes of all names, durable or visible or between the two.
    pub fn inodes(&self) -> impl Iterator<Item = u64> {
        let between = self.pending.iter().filter_map(NameChange::inode);
        self.visible.values().chain(self.durable.values()).copied().chain(between)
    }
}

impl State {
    fn dir(&mut self, op: &'static str, path: &Path) -> Result<(&mut Dir, String)> {
        let name = path.file_name().and_then(|name| name.to_str());
        let dir = path.parent().and_then(|parent| self.dirs.get_mut(parent));
        match (dir, name) {
            (Some(dir), Some(name)) => Ok((dir, name.to_owned())),
            _ => Err(Error::io(op, path, ErrorKind::NotFound.into())),
        }
    }

    pub fn inode_of(&self, path: &Path) -> Option<u64> {
        let name = path.file_name()?.to_str()?;
        self.dirs.get(path.parent()?)?.visible.get(name).copied()
    }

    pub fn create_dir(&mut self, dir: &Path) -> Result<()> {
        self.check_alive("create the directory", dir, self.epoch)?;
        self.fails(Act::Name, "create the directory", dir)?;
        let mut outermost_first: Vec<&Path> = dir.ancestors().collect();
        outermost_first.reverse();
        for path in outermost_first {
            if self.inode_of(path).is_some() {
                let there = ErrorKind::AlreadyExists.into();
                return Err(Error::io("create the directory", path, there));
            }
            if self.dirs.contains_key(path) {
                continue;
            }
            let fails = self.tick();
            if !fails || self.rng.chance(2) {
                self.dirs.insert(path.into(), Dir::default());
            }
            if fails {
                self.cut();
                return Err(self.gone_error("create the directory", path));
            }
        }
        Ok(())
    }

    pub fn list(&mut self, dir: &Path) -> Result<Vec<String>> {
        self.check_alive("list", dir, self.epoch)?;
        self.fails(Act::Other, "list", dir)?;
        match self.dirs.get(dir) {
            Some(dir) => Ok(dir.visible.keys().cloned().collect()),
            None => Err(Error::io("list", dir, ErrorKind::NotFound.into())),
        }
    }

    /// Creates a name and an empty inode.
    fn link(&mut self, path: &Path) -> Result<u64> {
        let inode = self.next_id;
        let (dir, name) = self.dir("create", path)?;
        if dir.visible.contains_key(&name) {
            return Err(Error::io("create", path, ErrorKind::AlreadyExists.into()));
        }
        let change = NameChange::Link(name, inode);
        change.apply(&mut dir.visible);
        dir.pending.push(change);
        self.next_id += 1;
        self.inodes.insert(inode, Inode::default());
        Ok(inode)
    }

    pub fn create(&mut self, path: &Path, bytes: u64) -> Result<Held> {
        let result = self.create_unlogged(path, bytes);
        self.log("create", &[bytes_of(path)], [bytes, 0], &result);
        result
    }

    fn create_unlogged(&mut self, path: &Path, bytes: u64) -> Result<Held> {
        self.check_alive("create", path, self.epoch)?;
        self.fails(Act::Name, "create", path)?;
        self.link(path)?;
        let held = self.open_file(path)?;
        let zeros = PendingWrite { offset: 0, content: Content::Zeros(bytes as usize) };
        let filled = self.put(&held, zeros).and_then(|()| self.sync(&held));
        if let Err(error) = filled {
            if held.epoch == self.epoch {
                self.close(&held);
                self.remove_unlogged(path)?;
            }
            return Err(error);
        }
        Ok(held)
    }

    pub fn open(&mut self, path: &Path) -> Result<Held> {
        let result = self.open_unlogged(path);
        self.log("open", &[bytes_of(path)], [0; 2], &result);
        result
    }

    fn open_unlogged(&mut self, path: &Path) -> Result<Held> {
        self.check_alive("open", path, self.epoch)?;
        self.fails(Act::Other, "open", path)?;
        self.open_file(path)
    }

    fn open_file(&mut self, path: &Path) -> Result<Held> {
        let (dir, name) = self.dir("open", path)?;
        let found = dir.visible.get(&name).copied();
        let Some(inode) = found else {
            return Err(Error::io("open", path, ErrorKind::NotFound.into()));
        };
        if let Some(inode) = self.inodes.get_mut(&inode) {
            inode.open += 1;
        }
        Ok(Held { inode, epoch: self.epoch, path: path.into() })
    }

    pub fn close(&mut self, held: &Held) {
        if held.epoch != self.epoch {
            return; // The cut or kill has closed it.
        }
        if let Some(inode) = self.inodes.get_mut(&held.inode) {
            inode.open -= 1;
            if inode.open == 0
                && !self.dirs.values().flat_map(Dir::inodes).any(|named| named == held.inode)
            {
                self.inodes.remove(&held.inode);
            }
        }
    }

    pub fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        let result = self.rename_unlogged(from, to);
        self.log("rename", &[bytes_of(from), bytes_of(to)], [0; 2], &result);
        result
    }

    fn rename_unlogged(&mut self, from: &Path, to: &Path) -> Result<()> {
        self.check_alive("rename", from, self.epoch)?;
        self.fails(Act::Name, "rename", from)?;
        check_same_dir(from, to)?;
        let (_, new) = self.dir("rename", to)?;
        let (dir, old) = self.dir("rename", from)?;
        let Some(&inode) = dir.visible.get(&old) else {
            return Err(Error::io("rename", from, ErrorKind::NotFound.into()));
        };
        let change = NameChange::Rename(old, new, inode);
        change.apply(&mut dir.visible);
        dir.pending.push(change);
        Ok(())
    }

    pub fn hard_link(&mut self, from: &Path, to: &Path) -> Result<()> {
        let result = self.hard_link_unlogged(from, to);
        self.log("hard_link", &[bytes_of(from), bytes_of(to)], [0; 2], &result);
        result
    }

    fn hard_link_unlogged(&mut self, from: &Path, to: &Path) -> Result<()> {
        let op = "link";
        self.check_alive(op, from, self.epoch)?;
        self.fails(Act::Name, op, from)?;
        let Some(inode) = self.inode_of(from) else {
            return Err(Error::io(op, from, ErrorKind::NotFound.into()));
        };
        if self.faults.no_links {
            return Err(Error::io(op, from, std::io::Error::from_raw_os_error(libc::EXDEV)));
        }
        let (dir, name) = self.dir(op, to)?;
        if dir.visible.contains_key(&name) {
            return Err(Error::io(op, from, ErrorKind::AlreadyExists.into()));
        }
        let change = NameChange::Link(name, inode);
        change.apply(&mut dir.visible);
        dir.pending.push(change);
        Ok(())
    }

    pub fn remove_dir(&mut self, path: &Path) -> Result<()> {
        let op = "remove the directory";
        self.check_alive(op, path, self.epoch)?;
        self.fails(Act::Remove, op, path)?;
        let inside = |other: &Arc<Path>| other.parent() == Some(path);
        match self.dirs.get(path) {
            None => Err(Error::io(op, path, ErrorKind::NotFound.into())),
            Some(dir) if !dir.visible.is_empty() || self.dirs.keys().any(inside) => {
                Err(Error::io(op, path, ErrorKind::DirectoryNotEmpty.into()))
            }
            Some(_) => {
                self.dirs.remove(path);
                self.free_unreferenced();
                Ok(())
            }
        }
    }

    pub fn remove(&mut self, path: &Path) -> Result<()> {
        let alive = self.check_alive("remove", path, self.epoch);
        let fails = alive.and_then(|()| self.fails(Act::Remove, "remove", path));
        let result = fails.and_then(|()| self.remove_unlogged(path));
        self.log("remove", &[bytes_of(path)], [0; 2], &result);
        result
    }

    fn remove_unlogged(&mut self, path: &Path) -> Result<()> {
        self.check_alive("remove", path, self.epoch)?;
        let (dir, name) = self.dir("remove", path)?;
        if !dir.visible.contains_key(&name) {
            return Err(Error::io("remove", path, ErrorKind::NotFound.into()));
        }
        let change = NameChange::Unlink(name);
        change.apply(&mut dir.visible);
        dir.pending.push(change);
        Ok(())
    }

    pub fn sync_dir(&mut self, dir: &Path) -> Result<()> {
        let result = self.sync_dir_unlogged(dir);
        self.log("sync_dir", &[bytes_of(dir)], [0; 2], &result);
        result
    }

    fn sync_dir_unlogged(&mut self, path: &Path) -> Result<()> {
        let op = "sync the directory";
        self.check_alive(op, path, self.epoch)?;
        if self.tick() {
            self.cut();
            return Err(self.gone_error(op, path));
        }
        let planned = self.planned(Act::Other, op, path);
        self.record();
        if planned == Some(Failure::Files) {
            // It was not even opened.
            return Err(Failure::Files.error(op, path));
        }
        let fails = self.rng.chance(self.faults.eio_sync) || planned.is_some();
        let State { rng, dirs, .. } = self;
        let Some(dir) = dirs.get_mut(path) else {
            return Err(Error::io(op, path, ErrorKind::NotFound.into()));
        };
        let changes = &mut dir.pending;
        let count =
            if fails { rng.below(changes.len() as u64 + 1) as usize } else { changes.len() };
        changes.drain(..count).for_each(|change| change.apply(&mut dir.durable));
        if count > 0 {
            self.free_unreferenced();
        }
        if fails { Err(eio(op, path)) } else { Ok(()) }
    }

    pub fn lock(&mut self, path: &Path) -> Result<u64> {
        self.check_alive("lock", path, self.epoch)?;
        self.fails(Act::Other, "lock", path)?;
        if self.locks.contains_key(path) {
            let holder = "another handle of this simulation".into();
            return Err(Error::Locked { path: path.into(), holder });
        }
        if self.inode_of(path).is_none() {
            self.link(path)?;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.locks.insert(path.into(), id);
        Ok(id)
    }

    pub fn unlock(&mut self, path: &Path, id: u64) {
        if self.locks.get(path) == Some(&id) {
            self.locks.remove(path);
        }
    }
}
