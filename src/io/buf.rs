//! Owned, aligned, stable memory for file operations.
//!
//! A `Buf` moves into an operation and comes back with its completion, so that no one can free or
//! touch memory that the kernel may still write (I1 of `io`). It is either its own allocation or a
//! lease of somebody else's memory (a frame of the buffer pool) together with what keeps that alive.
#![expect(unsafe_code, reason = "aligned allocation and leases of frames")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::any::Any;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

/// The block of every disk that a store may be copied to: how long a file is must be a multiple, or what stands at its end
/// cannot be read there.
pub const DISK_BLOCK_BYTES: usize = 4096;

/// An aligned buffer; dereferences to its bytes.
pub struct Buf {
    start: NonNull<u8>,
    len: usize,
    owner: Owner,
}

enum Owner {
    Heap(Layout),
    Lease { _keeps: Arc<dyn Any + Send + Sync> },
}

// SAFETY: a Buf has exclusive access to its bytes, like a Box<[u8]>.
unsafe impl Send for Buf {}
// SAFETY: shared references only read.
unsafe impl Sync for Buf {}

impl Buf {
    /// `bytes` zero bytes (at least one) at an address that is a multiple of `align`.
    ///
    /// # Panics
    /// If `align` is not a power of two.
    pub fn zeroed(bytes: usize, align: usize) -> Buf {
        let layout = Layout::from_size_align(bytes.max(1), align.max(16));
        let layout = layout.unwrap_or_else(|_| panic!("a buffer of {bytes} bytes at {align}"));
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        Buf { start, len: bytes, owner: Owner::Heap(layout) }
    }

    /// `bytes` at such an address, and zeroes to the end of a [`DISK_BLOCK_BYTES`], or of an `align` if that is more.
    ///
    /// # Panics
    /// If `align` is not a power of two.
    pub fn padded(bytes: &[u8], align: usize) -> Buf {
        let whole = bytes.len().next_multiple_of(align.max(DISK_BLOCK_BYTES));
        let mut buf = Buf::zeroed(whole, align);
        buf[..bytes.len()].copy_from_slice(bytes);
        buf
    }

    /// A lease of `len` bytes at `start`, which `keeps` keeps allocated.
    ///
    /// # Safety
    /// The bytes are initialised, stay allocated at that address as long as `keeps` lives, and
    /// nobody else reads or writes them until the Buf is dropped.
    pub unsafe fn lease(start: NonNull<u8>, len: usize, keeps: Arc<dyn Any + Send + Sync>) -> Buf {
        Buf { start, len, owner: Owner::Lease { _keeps: keeps } }
    }

    /// Shortens or, within the allocation, lengthens the visible part.
    ///
    /// # Panics
    /// If `len` is over the capacity, or the Buf is a lease.
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.capacity(), "{len} of {} bytes", self.capacity());
        self.len = len;
    }

    /// Bytes that `set_len` may reach.
    pub fn capacity(&self) -> usize {
        match &self.owner {
            Owner::Heap(layout) => layout.size(),
            Owner::Lease { .. } => self.len,
        }
    }
}

impl Deref for Buf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start` and `len` lie in memory that this Buf alone may use, and it is initialised.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Buf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `deref`, and `&mut self` excludes other references.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        if let Owner::Heap(layout) = self.owner {
            // SAFETY: allocated in `zeroed` with this layout.
            unsafe { dealloc(self.start.as_ptr(), layout) }
        }
    }
}

impl fmt::Debug for Buf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buf({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_zeroed_aligned_and_resizable_within_its_capacity() {
        let mut buf = Buf::zeroed(8192, 4096);
        assert_eq!(buf.as_ptr() as usize % 4096, 0);
        assert!(buf.iter().all(|&b| b == 0));
        buf[8191] = 7;
        buf.set_len(512);
        assert_eq!(buf.len(), 512);
        buf.set_len(8192);
        assert_eq!(buf[8191], 7);
    }

    #[test]
    #[should_panic(expected = "9000 of 8192 bytes")]
    fn never_grows_past_its_capacity() {
        Buf::zeroed(8192, 4096).set_len(9000);
    }
}
