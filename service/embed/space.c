/*
 * The public face of a space: the mmap family in a region of this process.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each space has a memory file of its own, so that destroying it gives back
 * all it had and a forked child that makes another shares nothing with it.
 */
#include "embed/embed.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/limits.h"
#include "hostfile/hostfile.h"
#include "shmem/shmem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static_assert(PROT_READ == MSN_ACCESS_READ && PROT_WRITE == MSN_ACCESS_WRITE &&
		      PROT_EXEC == MSN_ACCESS_EXEC,
	      "PROT_* are access bits");

static int check_prot(int prot, struct msn_failure *why)
{
	if (!(prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)))
		return 0;
	return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
			       "protection 0x%x is not made of PROT_READ, "
			       "PROT_WRITE and PROT_EXEC",
			       (unsigned)prot);
}

int msn_embed_space_new(struct memsnap_space **out,
			struct msn_addr_range region, struct msn_failure *why)
{
	msn_auto(msn_embed_space_destroyp) struct memsnap_space *s = NULL;
	msn_auto(msn_address_space_freep) struct msn_address_space *as = NULL;
	int rc;

	s = msn_alloc(sizeof(*s));
	if (!s)
		return msn_fail(-ENOMEM);
	s->owner = getpid();
	rc = msn_account_table_new(&s->accounts);
	if (rc)
		return msn_pass(rc);
	rc = msn_memfile_new(&s->memfile, &(struct msn_memfile_opts){
						  .accounts = s->accounts });
	if (rc)
		return msn_failure_errno(why, rc, "cannot make a memory file");
	rc = msn_platform_local_new(&as, region);
	if (rc == -EEXIST)
		return msn_failure_set(
			why, rc, MSN_FAILURE_EXISTS,
			"something is mapped in this process between 0x%" PRIx64
			" and 0x%" PRIx64 " already",
			region.start, region.end);
	if (rc)
		return msn_failure_errno(
			why, rc, "cannot reserve 0x%" PRIx64 "-0x%" PRIx64,
			region.start, region.end);
	rc = msn_mm_new(&s->mm,
			&(struct msn_mm_opts){
				.memfile = s->memfile,
				.as = msn_steal(as),
				.layout = { .min_addr = region.start,
					    .max_addr = region.end,
					    .top_down_base = region.end },
			});
	if (rc)
		return msn_pass(rc);
	*out = msn_steal(s);
	return 0;
}

static int create(struct memsnap_space **out,
		  const struct memsnap_space_opts *given,
		  struct msn_failure *why)
{
	struct memsnap_space_opts opts;
	uint64_t base;
	int rc;

	rc = msn_embed_take(&opts, sizeof(opts), given, "space options", why);
	if (rc)
		return msn_pass(rc);
	base = (uintptr_t)opts.base;
	if (!base || !opts.length || !msn_page_aligned(base | opts.length) ||
	    base + opts.length < base)
		return msn_failure_set(
			why, -EINVAL, MSN_FAILURE_INVALID,
			"no region of whole pages: base 0x%" PRIx64
			", length 0x%zx",
			base, opts.length);
	return msn_pass(msn_embed_space_new(
		out, (struct msn_addr_range){ base, base + opts.length }, why));
}

int memsnap_space_create(struct memsnap_space **out,
			 const struct memsnap_space_opts *opts,
			 struct memsnap_error *err)
{
	struct msn_failure why = { 0 };

	return msn_embed_finish(create(out, opts, &why), &why, err);
}

void memsnap_space_destroy(struct memsnap_space *space)
{
	if (!space)
		return;
	/* In a child, freeing would give back the parent's pages. */
	if (space->owner == getpid()) {
		msn_mm_free(space->mm);
		msn_memfile_free(space->memfile);
		msn_account_table_free(space->accounts);
	}
	free(space);
}

/* The path that the kernel has for @fd; -ENOENT if the file has none. */
static int path_of(int fd, char *out, size_t size, struct msn_failure *why)
{
	char link[64];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return msn_failure_errno(why, -errno, "cannot map fd %d", fd);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, size - 1);
	if (n < 0)
		return msn_failure_errno(why, -errno,
					 "cannot find the path of fd %d", fd);
	out[n] = '\0';
	if (!st.st_nlink || out[0] != '/')
		return msn_failure_set(why, -ENOENT, MSN_FAILURE_INVALID,
				       "fd %d has no path: a restore could not "
				       "find it again",
				       fd);
	return 0;
}

/* Makes the mappable of a host file; the caller has a reference on *@id. */
static int open_host(struct memsnap_space *space,
		     const struct memsnap_map_opts *opts,
		     struct msn_mmap_opts *to, struct msn_identity **id,
		     struct msn_failure *why)
{
	char found[MSN_MAPPING_NAME_MAX];
	const char *path = opts->path;
	struct msn_hostfile *hf;
	int fd, rc;

	if (!path) {
		rc = path_of(opts->fd, found, sizeof(found), why);
		if (rc)
			return msn_pass(rc);
		path = found;
	}
	if (path[0] != '/')
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "%s is not an absolute path", path);
	fd = fcntl(opts->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return msn_failure_errno(why, -errno, "cannot map %s", path);
	rc = msn_hostfile_new(
		&hf,
		&(struct msn_hostfile_opts){
			.fd = fd, .path = path, .accounts = space->accounts });
	if (rc)
		return msn_failure_errno(why, rc, "cannot map %s", path);
	*id = msn_hostfile_identity(hf);
	to->mappable = msn_hostfile_mappable(hf);
	if (!to->private && !msn_hostfile_writable(hf))
		to->max_perms &= ~(unsigned)MSN_ACCESS_WRITE;
	if (to->perms & ~to->max_perms)
		return msn_failure_set(why, -EACCES, MSN_FAILURE_DENIED,
				       "%s is not open for writing", path);
	return 0;
}

/* Sets what is mapped; the caller has a reference on *@id, if not NULL. */
static int set_object(struct memsnap_space *space,
		      const struct memsnap_map_opts *opts,
		      struct msn_mmap_opts *to, struct msn_identity **id,
		      struct msn_failure *why)
{
	struct msn_shmem *s;
	uint64_t size;
	int rc;

	if (opts->flags & MEMSNAP_MAP_FILE)
		return msn_pass(open_host(space, opts, to, id, why));
	to->name = opts->name;
	if (to->private)
		return 0;
	if (!msn_page_up(opts->length, &size))
		return msn_fail(-ENOMEM);
	rc = msn_shmem_new(
		&s, &(struct msn_shmem_opts){ .memfile = space->memfile,
					      .size = size,
					      .name = opts->name ? opts->name
								 : "memsnap" });
	if (rc)
		return msn_pass(rc);
	*id = msn_shmem_identity(s);
	to->mappable = msn_shmem_mappable(s);
	return 0;
}

static int map(struct memsnap_space *space,
	       const struct memsnap_map_opts *given, void **addr,
	       struct msn_failure *why)
{
	msn_auto(msn_identity_dec_refp) struct msn_identity *id = NULL;
	struct memsnap_map_opts opts;
	struct msn_mmap_opts to = { .max_perms = MSN_ACCESS_ANY };
	uint64_t at;
	int rc;

	rc = msn_embed_owner(space->owner, "space", why);
	if (!rc)
		rc = msn_embed_take(&opts, sizeof(opts), given, "map options",
				    why);
	if (!rc)
		rc = msn_embed_flags(opts.flags,
				     MEMSNAP_MAP_SHARED | MEMSNAP_MAP_FILE |
					     MEMSNAP_MAP_REPLACE,
				     "map options", why);
	if (!rc)
		rc = check_prot(opts.prot, why);
	if (rc)
		return msn_pass(rc);
	if (!opts.length)
		return msn_failure_set(why, -EINVAL, MSN_FAILURE_INVALID,
				       "cannot map nothing: length is 0");
	to.length = opts.length;
	to.offset = opts.offset;
	to.addr = (uintptr_t)opts.addr;
	to.fixed = opts.addr != NULL;
	to.unmap = to.fixed && opts.flags & MEMSNAP_MAP_REPLACE;
	to.no_replace = to.fixed && !to.unmap;
	to.perms = (unsigned)opts.prot;
	to.private = !(opts.flags & MEMSNAP_MAP_SHARED);
	rc = set_object(space, &opts, &to, &id, why);
	if (rc)
		return msn_pass(rc);
	to.mapping_identity = id;
	rc = msn_mm_mmap(space->mm, &to, &at);
	if (rc)
		return msn_failure_errno(why, rc,
					 "cannot map 0x%zx bytes at %p",
					 opts.length, opts.addr);
	*addr = (void *)(uintptr_t)at;
	return 0;
}

int memsnap_space_map(struct memsnap_space *space,
		      const struct memsnap_map_opts *opts, void **addr,
		      struct memsnap_error *err)
{
	struct msn_failure why = { 0 };

	return msn_embed_finish(map(space, opts, addr, &why), &why, err);
}

int memsnap_space_unmap(struct memsnap_space *space, void *addr, size_t length,
			struct memsnap_error *err)
{
	struct msn_failure why = { 0 };
	int rc = msn_embed_owner(space->owner, "space", &why);

	if (!rc)
		rc = msn_mm_munmap(space->mm, (uintptr_t)addr, length);
	if (rc)
		rc = msn_failure_errno(&why, rc,
				       "cannot unmap 0x%zx bytes at %p", length,
				       addr);
	return msn_embed_finish(rc, &why, err);
}

int memsnap_space_protect(struct memsnap_space *space, void *addr,
			  size_t length, int prot, struct memsnap_error *err)
{
	struct msn_failure why = { 0 };
	int rc = msn_embed_owner(space->owner, "space", &why);

	if (!rc)
		rc = check_prot(prot, &why);
	if (!rc)
		rc = msn_mm_mprotect(space->mm, (uintptr_t)addr, length, prot);
	if (rc)
		rc = msn_failure_errno(&why, rc,
				       "cannot protect 0x%zx bytes at %p",
				       length, addr);
	return msn_embed_finish(rc, &why, err);
}

/* Says which byte could not be reached. */
static int copy_result(int rc, const char *verb, const void *addr, size_t done,
		       struct msn_failure *why)
{
	if (rc == -EFAULT)
		return msn_failure_set(
			why, rc, MSN_FAILURE_INVALID,
			"cannot %s %p: not mapped, or not "
			"permitted",
			verb, (const void *)((const char *)addr + done));
	if (rc)
		return msn_failure_errno(why, rc, "cannot %s %p", verb, addr);
	return 0;
}

int memsnap_space_read(struct memsnap_space *space, const void *addr, void *dst,
		       size_t len, struct memsnap_error *err)
{
	struct msn_failure why = { 0 };
	size_t done = 0;
	int rc = msn_embed_owner(space->owner, "space", &why);

	if (!rc) {
		rc = msn_mm_copy_in(space->mm, (uintptr_t)addr, dst, len,
				    (struct msn_mm_io){ 0 }, &done);
		rc = copy_result(rc, "read", addr, done, &why);
	}
	return msn_embed_finish(rc, &why, err);
}

int memsnap_space_write(struct memsnap_space *space, void *addr,
			const void *src, size_t len, struct memsnap_error *err)
{
	struct msn_failure why = { 0 };
	size_t done = 0;
	int rc = msn_embed_owner(space->owner, "space", &why);

	if (!rc) {
		rc = msn_mm_copy_out(space->mm, (uintptr_t)addr, src, len,
				     (struct msn_mm_io){ 0 }, &done);
		rc = copy_result(rc, "write", addr, done, &why);
	}
	return msn_embed_finish(rc, &why, err);
}

int memsnap_space_zero(struct memsnap_space *space, void *addr, size_t len,
		       struct memsnap_error *err)
{
	struct msn_failure why = { 0 };
	size_t done = 0;
	int rc = msn_embed_owner(space->owner, "space", &why);

	if (!rc) {
		rc = msn_mm_zero_out(space->mm, (uintptr_t)addr, len,
				     (struct msn_mm_io){ 0 }, &done);
		rc = copy_result(rc, "write", addr, done, &why);
	}
	return msn_embed_finish(rc, &why, err);
}

int memsnap_space_maps(struct memsnap_space *space, char **text,
		       struct memsnap_error *err)
{
	struct msn_failure why = { 0 };
	int rc = msn_embed_owner(space->owner, "space", &why);

	if (!rc)
		rc = msn_mm_maps(space->mm, text);
	return msn_embed_finish(rc, &why, err);
}

static int usage(struct memsnap_space *space, struct memsnap_usage *out,
		 struct msn_failure *why)
{
	struct memsnap_usage u = { .size = sizeof(u) };
	struct msn_account_usage charged;
	msn_account_id account;
	int rc = msn_embed_owner(space->owner, "space", why);

	if (rc)
		return msn_pass(rc);
	account = msn_mm_account(space->mm);
	charged = msn_account_get(space->accounts, account);
	u.mapped_bytes = msn_mm_mapped_bytes(space->mm);
	u.own_bytes = charged.bytes[MSN_ACCOUNT_ANONYMOUS];
	u.resident_bytes = msn_memfile_usage(space->memfile, account).resident;
	u.file_bytes = charged.bytes[MSN_ACCOUNT_MAPPED];
	return msn_embed_give(out, &u, sizeof(u), "usage", why);
}

int memsnap_space_usage(struct memsnap_space *space, struct memsnap_usage *out,
			struct memsnap_error *err)
{
	struct msn_failure why = { 0 };

	return msn_embed_finish(usage(space, out, &why), &why, err);
}

struct memsnap_uid memsnap_space_generation(const struct memsnap_space *space)
{
	return msn_embed_uid(space->generation);
}
