/*
 * SpaceService: the calls of the mmap family, and the listing of mappings.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rpc/rpc.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"
#include "hostfile/hostfile.h"
#include "mm/mm_calls.h"
#include "rpc/convert.h"
#include "rpc/fd_ref.h"
#include "shmem/shmem.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static_assert(PROT_READ == MSN_ACCESS_READ && PROT_WRITE == MSN_ACCESS_WRITE &&
		      PROT_EXEC == MSN_ACCESS_EXEC,
	      "bits of the API are PROT_* and access bits");

static int check_access(struct msn_call *call, const char *field, uint32_t bits)
{
	if (bits & ~(uint32_t)MSN_ACCESS_ANY)
		return msn_call_bad_field(call, field,
					  "%s is no sum of 1, 2 and 4", field);
	return 0;
}

/* ---- Map ----------------------------------------------------------------- */

static int open_file(struct msn_call *call, const Memsnap__V1__MapRequest *r,
		     struct msn_mmap_opts *o, struct msn_identity **id)
{
	msn_auto(msn_freep) char *path = NULL;
	struct msn_hostfile *hf;
	int fd, rc;

	rc = rpc_take_fd_ref(call, "file.file", r->file->file,
			     r->shared && r->access & MSN_ACCESS_WRITE, &fd);
	if (rc)
		return msn_pass(rc);
	rc = rpc_path_of(call, fd, r->file->path, &path);
	if (rc) {
		msn_close(fd);
		return msn_pass(rc);
	}
	rc = msn_hostfile_new(&hf, &(struct msn_hostfile_opts){
					   .fd = fd,
					   .path = path,
					   .accounts = msn_spaces_accounts(
						   rpc_of(call)->spaces),
				   });
	if (rc)
		return rpc_errno(call, rc, "map %s", path);
	*id = msn_hostfile_identity(hf);
	o->mappable = msn_hostfile_mappable(hf);
	o->offset = r->file->offset;
	if (!o->private && !msn_hostfile_writable(hf))
		o->max_perms &= ~(unsigned)MSN_ACCESS_WRITE;
	if (o->perms & ~o->max_perms)
		return rpc_errno(call, -EACCES, "write to %s", path);
	return 0;
}

static int make_shared(struct msn_call *call, struct msn_space *space,
		       struct msn_mmap_opts *o, struct msn_identity **id)
{
	struct msn_shmem *s;
	uint64_t size;
	int rc;

	if (!msn_page_up(o->length, &size))
		return -ENOMEM;
	rc = msn_shmem_new(
		&s, &(struct msn_shmem_opts){
			    .memfile = msn_spaces_memfile(rpc_of(call)->spaces),
			    .size = size,
			    .account = msn_space_account(space),
		    });
	if (rc)
		return msn_pass(rc);
	*id = msn_shmem_identity(s);
	o->mappable = msn_shmem_mappable(s);
	return 0;
}

static enum msn_mlock_mode mlock_mode(Memsnap__V1__LockMode mode)
{
	switch (mode) {
	case MEMSNAP__V1__LOCK_MODE__LOCK_MODE_EAGER:
		return MSN_MLOCK_EAGER;
	case MEMSNAP__V1__LOCK_MODE__LOCK_MODE_ON_FAULT:
		return MSN_MLOCK_LAZY;
	default:
		return MSN_MLOCK_NONE;
	}
}

static enum msn_mmap_platform_effect effect(Memsnap__V1__PlatformEffect effect)
{
	switch (effect) {
	case MEMSNAP__V1__PLATFORM_EFFECT__PLATFORM_EFFECT_POPULATE:
		return MSN_PLATFORM_EFFECT_POPULATE;
	case MEMSNAP__V1__PLATFORM_EFFECT__PLATFORM_EFFECT_COMMIT:
		return MSN_PLATFORM_EFFECT_COMMIT;
	default:
		return MSN_PLATFORM_EFFECT_DEFAULT;
	}
}

/* Everything but the object. */
static struct msn_mmap_opts map_opts(const Memsnap__V1__MapRequest *r)
{
	return (struct msn_mmap_opts){
		.length = r->length,
		.addr = r->address,
		.fixed = r->fixed,
		.unmap = r->fixed && r->replace,
		.no_replace = r->fixed && !r->replace,
		.map_32bit = r->low,
		.perms = r->access,
		.max_perms = r->max_access ? r->max_access : MSN_ACCESS_ANY,
		.private = !r->shared,
		.grows_down = r->grows_down,
		.stack = r->stack,
		.no_reserve = r->no_reserve,
		.sync = r->synchronous,
		.droppable = r->droppable,
		.platform_effect = effect(r->platform_effect),
		.require_platform_effect = r->require_platform_effect,
		.mlock_mode = mlock_mode(r->lock_mode),
		.name = *r->name ? r->name : NULL,
		.force = r->force && r->fixed && r->replace,
		.sentry_owned_content = r->owned_content,
	};
}

static int check_map(struct msn_call *call, const Memsnap__V1__MapRequest *r)
{
	int rc = check_access(call, "access", r->access);

	if (!rc)
		rc = check_access(call, "max_access", r->max_access);
	if (rc)
		return rc;
	if (r->max_access && r->access & ~r->max_access)
		return msn_call_bad_field(call, "max_access",
					  "access is more than max_access");
	if (!r->length)
		return msn_call_bad_field(call, "length", "length is 0");
	if (r->replace && !r->fixed)
		return msn_call_bad_field(call, "replace",
					  "replace needs fixed");
	if (r->file && *r->name)
		return msn_call_bad_field(call, "name",
					  "a mapping of a file has no name of "
					  "its own");
	return 0;
}

static int map_at(struct msn_call *call, struct msn_space *space,
		  const Memsnap__V1__MapRequest *r, uint64_t *addr)
{
	msn_auto(msn_identity_dec_refp) struct msn_identity *id = NULL;
	struct msn_mmap_opts o = map_opts(r);
	int rc = 0;

	if (r->file)
		rc = open_file(call, r, &o, &id);
	else if (r->shared)
		rc = make_shared(call, space, &o, &id);
	if (rc)
		return msn_pass(rc);
	o.mapping_identity = id;
	msn_space_enter(space);
	rc = msn_mm_mmap(msn_space_mm(space), &o, addr);
	msn_space_leave(space);
	return msn_pass(rc);
}

static int map(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__MapRequest *r = (const void *)request;
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	Memsnap__V1__MapResponse answer;
	int rc = rpc_find_space(call, r->space, &space);

	memsnap__v1__map_response__init(&answer);
	if (!rc)
		rc = check_map(call, r);
	if (rc)
		return msn_pass(rc);
	rc = map_at(call, space, r, &answer.address);
	if (rc)
		return rpc_errno(call, rc,
				 "map %" PRIu64 " bytes at 0x%" PRIx64,
				 r->length, r->address);
	return msn_pass(msn_call_send(call, &answer.base, NULL));
}

/* ---- The others ---------------------------------------------------------- */

static int unmap(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__UnmapRequest *r = (const void *)request;
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	Memsnap__V1__UnmapResponse answer;
	int rc = rpc_find_space(call, r->space, &space);

	if (rc)
		return msn_pass(rc);
	memsnap__v1__unmap_response__init(&answer);
	msn_space_enter(space);
	rc = msn_mm_munmap(msn_space_mm(space), r->address, r->length);
	msn_space_leave(space);
	if (rc)
		return rpc_errno(call, rc,
				 "unmap %" PRIu64 " bytes at 0x%" PRIx64,
				 r->length, r->address);
	return msn_pass(msn_call_send(call, &answer.base, NULL));
}

static int protect(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__ProtectRequest *r = (const void *)request;
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	Memsnap__V1__ProtectResponse answer;
	int prot = (int)r->access | (r->grows_down ? PROT_GROWSDOWN : 0) |
		   (r->grows_up ? PROT_GROWSUP : 0);
	int rc = rpc_find_space(call, r->space, &space);

	if (!rc)
		rc = check_access(call, "access", r->access);
	if (rc)
		return msn_pass(rc);
	memsnap__v1__protect_response__init(&answer);
	msn_space_enter(space);
	rc = msn_mm_mprotect(msn_space_mm(space), r->address, r->length, prot);
	msn_space_leave(space);
	if (rc)
		return rpc_errno(call, rc,
				 "protect %" PRIu64 " bytes at 0x%" PRIx64,
				 r->length, r->address);
	return msn_pass(msn_call_send(call, &answer.base, NULL));
}

static int remap(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__RemapRequest *r = (const void *)request;
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	Memsnap__V1__RemapResponse answer;
	int flags = (r->may_move ? MREMAP_MAYMOVE : 0) |
		    (r->fixed ? MREMAP_FIXED : 0) |
		    (r->keep_old ? MREMAP_DONTUNMAP : 0);
	int rc = rpc_find_space(call, r->space, &space);

	if (rc)
		return msn_pass(rc);
	memsnap__v1__remap_response__init(&answer);
	msn_space_enter(space);
	rc = msn_mm_mremap(msn_space_mm(space), r->old_address, r->old_length,
			   r->new_length, flags, r->new_address,
			   &answer.address);
	msn_space_leave(space);
	if (rc)
		return rpc_errno(call, rc,
				 "remap %" PRIu64 " bytes at 0x%" PRIx64,
				 r->old_length, r->old_address);
	return msn_pass(msn_call_send(call, &answer.base, NULL));
}

/* MADV_* by the number of the API; the first is UNSPECIFIED. */
static const int advices[] = {
	-1,
	MADV_NORMAL,
	MADV_RANDOM,
	MADV_SEQUENTIAL,
	MADV_WILLNEED,
	MADV_DONTNEED,
	MADV_FREE,
	MADV_REMOVE,
	MADV_DONTFORK,
	MADV_DOFORK,
	MADV_MERGEABLE,
	MADV_UNMERGEABLE,
	MADV_HUGEPAGE,
	MADV_NOHUGEPAGE,
	MADV_DONTDUMP,
	MADV_DODUMP,
	MADV_WIPEONFORK,
	MADV_KEEPONFORK,
	MADV_COLD,
	MADV_PAGEOUT,
	MADV_POPULATE_READ,
	MADV_POPULATE_WRITE,
	MADV_DONTNEED_LOCKED,
	MADV_COLLAPSE,
	MADV_GUARD_INSTALL,
	MADV_GUARD_REMOVE,
};

static int advise(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__AdviseRequest *r = (const void *)request;
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	Memsnap__V1__AdviseResponse answer;
	int rc = rpc_find_space(call, r->space, &space);

	if (rc)
		return msn_pass(rc);
	if (r->advice < 1 || (size_t)r->advice >= MSN_ARRAY_LEN(advices))
		return msn_call_bad_field(call, "advice", "%d is no advice",
					  (int)r->advice);
	memsnap__v1__advise_response__init(&answer);
	msn_space_enter(space);
	rc = msn_mm_madvise(msn_space_mm(space), r->address, r->length,
			    advices[r->advice]);
	msn_space_leave(space);
	if (rc)
		return rpc_errno(call, rc,
				 "advise %" PRIu64 " bytes at 0x%" PRIx64,
				 r->length, r->address);
	return msn_pass(msn_call_send(call, &answer.base, NULL));
}

static int do_lock(struct msn_mm *mm, const Memsnap__V1__LockRequest *r)
{
	switch (r->action) {
	case MEMSNAP__V1__LOCK_REQUEST__ACTION__ACTION_LOCK:
		return msn_mm_mlock(mm, r->address, r->length,
				    r->on_fault ? MLOCK_ONFAULT : 0);
	case MEMSNAP__V1__LOCK_REQUEST__ACTION__ACTION_UNLOCK:
		return msn_mm_munlock(mm, r->address, r->length);
	case MEMSNAP__V1__LOCK_REQUEST__ACTION__ACTION_LOCK_ALL:
		return msn_mm_mlockall(mm,
				       (r->current ? MCL_CURRENT : 0) |
					       (r->future ? MCL_FUTURE : 0) |
					       (r->on_fault ? MCL_ONFAULT : 0));
	default:
		msn_mm_munlockall(mm);
		return 0;
	}
}

static int lock(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__LockRequest *r = (const void *)request;
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	Memsnap__V1__LockResponse answer;
	int rc = rpc_find_space(call, r->space, &space);

	if (rc)
		return msn_pass(rc);
	if (r->action < MEMSNAP__V1__LOCK_REQUEST__ACTION__ACTION_LOCK ||
	    r->action > MEMSNAP__V1__LOCK_REQUEST__ACTION__ACTION_UNLOCK_ALL)
		return msn_call_bad_field(call, "action", "%d is no action",
					  (int)r->action);
	memsnap__v1__lock_response__init(&answer);
	msn_space_enter(space);
	rc = do_lock(msn_space_mm(space), r);
	msn_space_leave(space);
	if (rc)
		return rpc_errno(call, rc,
				 "lock %" PRIu64 " bytes at 0x%" PRIx64,
				 r->length, r->address);
	return msn_pass(msn_call_send(call, &answer.base, NULL));
}

static int sync_range(struct msn_call *call, const ProtobufCMessage *request)
{
	const Memsnap__V1__SyncRequest *r = (const void *)request;
	msn_auto(msn_space_unrefp) struct msn_space *space = NULL;
	Memsnap__V1__SyncResponse answer;
	int flags = (r->no_wait ? MS_ASYNC : MS_SYNC) |
		    (r->invalidate ? MS_INVALIDATE : 0);
	int rc = rpc_find_space(call, r->space, &space);

	if (rc)
		return msn_pass(rc);
	memsnap__v1__sync_response__init(&answer);
	msn_space_enter(space);
	rc = msn_mm_msync(msn_space_mm(space), r->address, r->length, flags);
	msn_space_leave(space);
	if (rc)
		return rpc_errno(call, rc,
				 "sync %" PRIu64 " bytes at 0x%" PRIx64,
				 r->length, r->address);
	return msn_pass(msn_call_send(call, &answer.base, NULL));
}

#define ROW(rpc, snake, handler, how)                                          \
	{                                                                      \
		.path = "/memsnap.v1.SpaceService/" rpc,                       \
		.request = &memsnap__v1__##snake##_request__descriptor,        \
		.response = &memsnap__v1__##snake##_response__descriptor,      \
		.role = MSN_ROLE_OPERATE, .flags = MSN_METHOD_BLOCKS | (how),  \
		.run = (handler)                                               \
	}

const struct msn_method msn_rpc_mapping[] = {
	ROW("Map", map, map, MSN_METHOD_PEER_PIDFD),
	ROW("Unmap", unmap, unmap, 0),
	ROW("Protect", protect, protect, 0),
	ROW("Remap", remap, remap, 0),
	ROW("Advise", advise, advise, 0),
	ROW("Lock", lock, lock, 0),
	ROW("Sync", sync, sync_range, 0),
	{}
};
