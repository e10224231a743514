/*
 * Space: memory at fixed addresses of this process, ready to be saved.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A space owns a region of this process's addresses.  What is mapped in it is
 * ordinary memory: the program reads and writes it through pointers at full
 * speed, and nobody stands in between.  The region is reserved without using
 * memory and may be much larger than the machine.
 *
 * The calls behave as the Linux calls of the same name.  Do not use mmap(),
 * munmap(), mprotect() or mremap() on addresses inside the region: the space
 * would not know.
 *
 * Threads: all functions may be called from any thread at the same time, but
 * for memsnap_space_destroy(), which must be the last.
 * Fork: not to be used in a forked child (-EPERM).  The child's copy of the
 * memory is not the child's own: shared mappings are shared with the parent,
 * and private ones may be too.  Give a child memory of its own by cloning an
 * image in it.
 * Blocking: only where pages of a host file must be read.
 */
#ifndef MEMSNAP_SPACE_H
#define MEMSNAP_SPACE_H

#include <memsnap/error.h>
#include <memsnap/store.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct memsnap_space;

struct memsnap_space_opts {
	size_t size;   /* sizeof(struct memsnap_space_opts) */
	void *base;    /* page aligned, not NULL */
	size_t length; /* page multiple, > 0 */
};

/*
 * Makes an empty space over [base, base + length) of this process.  *@out is
 * the caller's, to be destroyed with memsnap_space_destroy().  -EEXIST if
 * anything is mapped there, -EINVAL if it is not page aligned or leaves the
 * addresses of a process.
 */
MEMSNAP_MUST_CHECK int
memsnap_space_create(struct memsnap_space **out,
		     const struct memsnap_space_opts *opts,
		     struct memsnap_error *err);

/*
 * Unmaps everything and gives the region back; NULL is allowed.  Pointers into
 * the space are invalid afterwards.
 */
void memsnap_space_destroy(struct memsnap_space *space);

enum memsnap_map_flags {
	/*
	 * Writes go to the file itself.  Anonymous memory that is shared is
	 * saved like any other; each clone has its own.
	 */
	MEMSNAP_MAP_SHARED = 1 << 0,
	/* Map a host file (fd, path, offset); else anonymous memory. */
	MEMSNAP_MAP_FILE = 1 << 1,
	/* What is mapped at @addr is unmapped first. */
	MEMSNAP_MAP_REPLACE = 1 << 2,
};

struct memsnap_map_opts {
	size_t size;	  /* sizeof(struct memsnap_map_opts) */
	void *addr;	  /* exactly there, page aligned; NULL: anywhere */
	size_t length;	  /* > 0; rounded up to pages */
	int prot;	  /* PROT_READ | PROT_WRITE | PROT_EXEC, or PROT_NONE */
	uint32_t flags;	  /* enum memsnap_map_flags */
	const char *name; /* shown by a listing; NULL: none.  Not for files */

	/* With MEMSNAP_MAP_FILE only. */
	int fd;		  /* a regular file; stays the caller's */
	const char *path; /* absolute: where a restore finds it again.  NULL:
			     what the kernel calls it now */
	uint64_t offset;  /* page aligned */
};

/*
 * Maps memory; *@addr becomes the place.  A host file must be open for
 * reading, and for writing if a shared mapping of it is to be written.
 * -EEXIST if @addr is taken and MEMSNAP_MAP_REPLACE is not set, -ENOMEM if it
 * lies outside the region or nothing is free, -EACCES, -ENODEV for a file that
 * cannot be mapped.
 */
MEMSNAP_MUST_CHECK int memsnap_space_map(struct memsnap_space *space,
					 const struct memsnap_map_opts *opts,
					 void **addr,
					 struct memsnap_error *err);

/* munmap(2). */
MEMSNAP_MUST_CHECK int memsnap_space_unmap(struct memsnap_space *space,
					   void *addr, size_t length,
					   struct memsnap_error *err);

/* mprotect(2). */
MEMSNAP_MUST_CHECK int memsnap_space_protect(struct memsnap_space *space,
					     void *addr, size_t length,
					     int prot,
					     struct memsnap_error *err);

/*
 * Copy from and to the space as a pointer access would, but for addresses that
 * may be bad: -EFAULT, with the bytes before the bad page done, instead of a
 * signal.  @zero writes zeros.
 */
MEMSNAP_MUST_CHECK int memsnap_space_read(struct memsnap_space *space,
					  const void *addr, void *dst,
					  size_t len,
					  struct memsnap_error *err);
MEMSNAP_MUST_CHECK int memsnap_space_write(struct memsnap_space *space,
					   void *addr, const void *src,
					   size_t len,
					   struct memsnap_error *err);
MEMSNAP_MUST_CHECK int memsnap_space_zero(struct memsnap_space *space,
					  void *addr, size_t len,
					  struct memsnap_error *err);

/*
 * Lists the mappings in the form of /proc/PID/maps.  *@text is the caller's,
 * for free().
 */
MEMSNAP_MUST_CHECK int memsnap_space_maps(struct memsnap_space *space,
					  char **text,
					  struct memsnap_error *err);

/* What a space has, in bytes. */
struct memsnap_usage {
	size_t size; /* sizeof(struct memsnap_usage), set by whoever made it */
	uint64_t mapped_bytes;	 /* length of all mappings */
	uint64_t own_bytes;	 /* set aside for what belongs to the space */
	uint64_t resident_bytes; /* of that, in memory now */
	uint64_t file_bytes;	 /* of pages of host files that it shows */
};

/*
 * Fills @out (its size is set).  Pages of an image are not the space's and not
 * counted, nor are the copies of an image's or a file's pages that the kernel
 * makes for this process.  Costs a system call for each run of memory.
 */
MEMSNAP_MUST_CHECK int memsnap_space_usage(struct memsnap_space *space,
					   struct memsnap_usage *out,
					   struct memsnap_error *err);

/*
 * The generation of this space: 128 fresh random bits for each clone, so that
 * what runs in it can tell that it was restored and seed its random generators
 * anew.  All zero for a space that was created.  Does not fail or block.
 */
struct memsnap_uid memsnap_space_generation(const struct memsnap_space *space);

#ifdef __cplusplus
}
#endif

#endif /* MEMSNAP_SPACE_H */
