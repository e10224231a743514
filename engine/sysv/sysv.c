/*
 * System V shared memory: the namespace and the calls.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The order of checks is Linux's: it decides which of several errnos comes out.
 * test_sysv_oracle.c makes the same calls in a namespace of the running kernel.
 */
#include "sysv/sysv_internal.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#ifndef SHM_DEST
#define SHM_DEST 01000
#define SHM_LOCKED 02000
#endif

/* An id is a sequence number above an index, as in Linux. */
#define INDEX_BITS 15
#define INDEX_MAX (1u << INDEX_BITS)
#define SEQ_MAX (INT_MAX >> INDEX_BITS)

/* Indexes are handed out in a round of at least so many before one returns. */
#define ROUND_MIN 64

/* Linux's SHMMAX and SHMALL: no limit, with room for sums. */
#define NO_LIMIT (UINT64_MAX - (UINT64_C(1) << 24))

#define PERM_READ 0444u
#define PERM_WRITE 0222u
#define PERM_EXEC 0111u

/* ---- Life ---------------------------------------------------------------- */

int msn_sysv_new(struct msn_sysv **out, const struct msn_sysv_opts *opts)
{
	struct msn_sysv *ns = msn_alloc(sizeof(*ns));

	if (!ns)
		return msn_fail(-ENOMEM);
	ns->memfile = opts->memfile;
	ns->host = opts->host;
	ns->account = opts->account;
	ns->shmmax = opts->shmmax ? opts->shmmax : NO_LIMIT;
	ns->shmall = opts->shmall ? opts->shmall : NO_LIMIT;
	ns->shmmni = opts->shmmni ? opts->shmmni : 4096;
	if (ns->shmmni > INDEX_MAX)
		ns->shmmni = INDEX_MAX;
	ns->last = -1;
	msn_mutex_init(&ns->lock, MSN_RANK_LEAF);
	*out = ns;
	return 0;
}

struct msn_sysv *msn_sysv_free(struct msn_sysv *ns)
{
	if (!ns)
		return NULL;
	for (size_t i = 0; i < ns->slot_count; i++) {
		struct msn_sysv_segment *seg = ns->slots[i];

		if (!seg)
			continue;
		msn_assert(!seg->mapped_bytes && !seg->under_way);
		msn_sysv_segment_unref(seg);
	}
	msn_mutex_deinit(&ns->lock);
	free(ns->slots);
	free(ns);
	return NULL;
}

bool msn_sysv_reap(struct msn_sysv_segment *seg)
{
	struct msn_sysv *ns = seg->ns;

	if (!(seg->mode & SHM_DEST) || seg->mapped_bytes || seg->under_way)
		return false;
	ns->slots[(unsigned)seg->id % INDEX_MAX] = NULL;
	ns->used--;
	ns->pages -= msn_sysv_pages(seg);
	return true;
}

struct msn_sysv_usage msn_sysv_usage(struct msn_sysv *ns)
{
	msn_lock_scope(&ns->lock);
	return (struct msn_sysv_usage){ ns->used, ns->pages };
}

/* ---- Finding ------------------------------------------------------------- */

static struct msn_sysv_segment *find_id(struct msn_sysv *ns, int id)
{
	size_t index = (unsigned)id % INDEX_MAX;
	struct msn_sysv_segment *seg;

	if (id < 0 || index >= ns->slot_count)
		return NULL;
	seg = ns->slots[index];
	return seg && seg->id == id ? seg : NULL;
}

static struct msn_sysv_segment *find_key(struct msn_sysv *ns, int32_t key)
{
	for (size_t i = 0; i < ns->slot_count; i++)
		if (ns->slots[i] && ns->slots[i]->key == key)
			return ns->slots[i];
	return NULL;
}

static bool in_group(const struct msn_sysv_cred *cred, uint32_t gid)
{
	if (cred->gid == gid)
		return true;
	for (size_t i = 0; i < cred->group_count; i++)
		if (cred->groups[i] == gid)
			return true;
	return false;
}

static bool is_owner(const struct msn_sysv_segment *seg,
		     const struct msn_sysv_cred *cred)
{
	return cred->uid == seg->uid || cred->uid == seg->cuid;
}

/*
 * May @cred do what any of the three digits of @wanted says?  Only the class
 * that it falls in counts: an owner without a right has no other way to it.
 */
static bool may(const struct msn_sysv_segment *seg,
		const struct msn_sysv_cred *cred, unsigned wanted)
{
	unsigned granted = seg->mode;

	wanted |= wanted >> 3 | wanted >> 6;
	if (is_owner(seg, cred))
		granted >>= 6;
	else if (in_group(cred, seg->gid) || in_group(cred, seg->cgid))
		granted >>= 3;
	return !(wanted & ~granted & 07) || cred->cap_ipc_owner;
}

/* ---- shmget -------------------------------------------------------------- */

/* The first free index from @from on that is below @end, or @end. */
static uint32_t free_index(const struct msn_sysv *ns, uint32_t from,
			   uint32_t end)
{
	while (from < end && from < ns->slot_count && ns->slots[from])
		from++;
	return from < end ? from : end;
}

/*
 * The index of the next segment, with room for it; or -ENOMEM.  Indexes go
 * round, and each round has a new sequence number, so that an id is given again
 * only after a long time.
 */
static int64_t take_index(struct msn_sysv *ns)
{
	uint32_t end = ns->used * 3 / 2, at;

	if (end < ROUND_MIN)
		end = ROUND_MIN;
	if (end > INDEX_MAX)
		end = INDEX_MAX;
	at = free_index(ns, ns->next, end);
	if (at == end)
		at = free_index(ns, 0, end);
	msn_assert(at < end);
	while (ns->slot_count <= at) {
		int rc = msn_grow((void **)&ns->slots, &ns->slot_cap,
				  ns->slot_count, sizeof(*ns->slots));

		if (rc)
			return msn_pass(rc);
		ns->slots[ns->slot_count++] = NULL;
	}
	return at;
}

/* Checks the limits for a segment of @size. */
static int check_room(const struct msn_sysv *ns, uint64_t size)
{
	uint64_t pages =
		(size >> MSN_PAGE_SHIFT) + ((size & MSN_PAGE_MASK) != 0);

	if (size < 1 || size > ns->shmmax)
		return msn_fail(-EINVAL);
	if (ns->pages + pages > ns->shmall)
		return msn_fail(-ENOSPC);
	return 0;
}

/* Gives @seg an id, and the namespace the caller's reference. */
static int insert(struct msn_sysv *ns, struct msn_sysv_segment *seg)
{
	int64_t index;

	if (ns->used >= ns->shmmni)
		return msn_fail(-ENOSPC);
	index = take_index(ns);
	if (index < 0)
		return msn_pass((int)index);
	if (index <= ns->last && ++ns->seq >= SEQ_MAX)
		ns->seq = 0;
	ns->last = index;
	ns->next = (uint32_t)index + 1;
	seg->seq = ns->seq;
	seg->id = (int)(ns->seq << INDEX_BITS | (uint32_t)index);
	ns->slots[index] = seg;
	ns->used++;
	ns->pages += msn_sysv_pages(seg);
	return seg->id;
}

/*
 * The id of the segment that @key leads to, or -errno; *@create if there is
 * none and one is wanted.
 */
static int get_existing(struct msn_sysv *ns, const struct msn_sysv_cred *cred,
			int32_t key, uint64_t size, int flags, bool *create)
{
	struct msn_sysv_segment *seg =
		key == IPC_PRIVATE ? NULL : find_key(ns, key);

	*create = !seg && (key == IPC_PRIVATE || (flags & IPC_CREAT));
	if (!seg)
		return *create ? 0 : msn_fail(-ENOENT);
	if ((flags & IPC_CREAT) && (flags & IPC_EXCL))
		return msn_fail(-EEXIST);
	if (seg->size_bytes < size)
		return msn_fail(-EINVAL);
	if (!may(seg, cred, (unsigned)flags))
		return msn_fail(-EACCES);
	return seg->id;
}

/*
 * One look at the namespace: the id, or -errno, or *@create and nothing done.
 * If a segment is to be made and *@made is one, it is taken.
 */
static int look(struct msn_sysv *ns, const struct msn_sysv_cred *cred,
		int32_t key, uint64_t size, int flags,
		struct msn_sysv_segment **made, bool *create)
{
	int rc;

	msn_lock_scope(&ns->lock);
	rc = get_existing(ns, cred, key, size, flags, create);
	if (rc == 0 && *create)
		rc = check_room(ns, size);
	if (rc || !*create || !*made)
		return msn_pass(rc);
	rc = insert(ns, *made);
	if (rc >= 0)
		*made = NULL;
	return msn_pass(rc);
}

/* Makes a segment for @cred. */
static int make(struct msn_sysv *ns, const struct msn_sysv_cred *cred,
		int32_t key, uint64_t size, int flags,
		struct msn_sysv_segment **out)
{
	struct msn_sysv_segment *seg;
	int rc;

	if (flags & SHM_HUGETLB)
		return msn_fail(-EINVAL);
	rc = msn_sysv_segment_new(&seg, ns, key, size);
	if (rc)
		return msn_pass(rc);
	seg->mode = (unsigned)flags & 0777;
	seg->uid = seg->cuid = cred->uid;
	seg->gid = seg->cgid = cred->gid;
	seg->cpid = ns->host->ops->pid(ns->host);
	seg->ctime = ns->host->ops->now(ns->host);
	*out = seg;
	return 0;
}

int msn_sysv_shmget(struct msn_sysv *ns, const struct msn_sysv_cred *cred,
		    int32_t key, uint64_t size, int flags)
{
	struct msn_sysv_segment *made = NULL;
	bool create;
	int rc = look(ns, cred, key, size, flags, &made, &create);

	if (rc < 0 || !create)
		return msn_pass(rc);
	rc = make(ns, cred, key, size, flags, &made);
	if (rc)
		return msn_pass(rc);
	/* Somebody else may have made it meanwhile. */
	rc = look(ns, cred, key, size, flags, &made, &create);
	if (made)
		msn_sysv_segment_unref(made);
	return msn_pass(rc);
}

/* ---- shmat --------------------------------------------------------------- */

/* The place: Linux's rules for the address, SHM_RND and SHM_REMAP. */
static int set_place(uint64_t addr, int flags, struct msn_mmap_opts *o)
{
	bool remap = flags & SHM_REMAP;

	if (!addr)
		return remap ? msn_fail(-EINVAL) : 0;
	if (!msn_page_aligned(addr) && !(flags & SHM_RND))
		return msn_fail(-EINVAL);
	o->addr = msn_page_down(addr);
	if (!o->addr && remap)
		return msn_fail(-EINVAL);
	o->fixed = true;
	/* Nothing is looked at where rounding led to address 0. */
	o->unmap = remap || !o->addr;
	o->no_replace = !o->unmap;
	return 0;
}

/* The rights; returns those that the segment's mode must grant. */
static unsigned set_perms(int flags, struct msn_mmap_opts *o)
{
	unsigned wanted = PERM_READ;

	o->perms = MSN_ACCESS_READ;
	o->max_perms = MSN_ACCESS_READ | MSN_ACCESS_EXEC;
	if (!(flags & SHM_RDONLY)) {
		o->perms |= MSN_ACCESS_WRITE;
		o->max_perms |= MSN_ACCESS_WRITE;
		wanted |= PERM_WRITE;
	}
	if (flags & SHM_EXEC) {
		o->perms |= MSN_ACCESS_EXEC;
		wanted |= PERM_EXEC;
	}
	return wanted;
}

/* Finds the segment and keeps it from going away. */
static int hold(struct msn_sysv *ns, const struct msn_sysv_cred *cred, int id,
		unsigned wanted, struct msn_sysv_segment **out)
{
	struct msn_sysv_segment *seg;

	msn_lock_scope(&ns->lock);
	seg = find_id(ns, id);
	if (!seg)
		return msn_fail(-EINVAL);
	if (!may(seg, cred, wanted))
		return msn_fail(-EACCES);
	seg->under_way++;
	*out = seg;
	return 0;
}

static void let_go(struct msn_sysv_segment *seg)
{
	bool reaped;

	{
		msn_lock_scope(&seg->ns->lock);
		msn_assert(seg->under_way > 0);
		seg->under_way--;
		reaped = msn_sysv_reap(seg);
	}
	if (reaped)
		msn_sysv_segment_unref(seg);
}

int msn_sysv_shmat(struct msn_sysv *ns, const struct msn_sysv_cred *cred,
		   int id, uint64_t addr, int flags,
		   struct msn_sysv_attach *out)
{
	struct msn_sysv_attach at = { 0 };
	struct msn_mmap_opts *o = &at.opts;
	int rc = set_place(addr, flags, o);

	if (rc == 0)
		rc = hold(ns, cred, id, set_perms(flags, o), &at.segment);
	if (rc)
		return msn_pass(rc);
	o->length = at.segment->size_bytes;
	o->mappable = &at.segment->mappable;
	if (o->no_replace && o->addr + o->length < o->addr)
		rc = msn_fail(-EINVAL);
	else
		rc = msn_sysv_attachment_new(&o->mapping_identity, at.segment);
	if (rc) {
		let_go(at.segment);
		return msn_pass(rc);
	}
	*out = at;
	return 0;
}

int msn_sysv_attached(struct msn_sysv_attach *at, int rc)
{
	let_go(at->segment);
	msn_identity_dec_ref(at->opts.mapping_identity);
	*at = (struct msn_sysv_attach){ 0 };
	return rc == -EEXIST ? msn_fail(-EINVAL) : msn_pass(rc);
}

/* ---- shmctl -------------------------------------------------------------- */

static void fill_stat(const struct msn_sysv_segment *seg,
		      struct msn_sysv_stat *st)
{
	*st = (struct msn_sysv_stat){
		.key = seg->key,
		.uid = seg->uid,
		.gid = seg->gid,
		.cuid = seg->cuid,
		.cgid = seg->cgid,
		.mode = seg->mode,
		.seq = seg->seq,
		.size_bytes = seg->size_bytes,
		.atime = seg->atime,
		.dtime = seg->dtime,
		.ctime = seg->ctime,
		.cpid = seg->cpid,
		.lpid = seg->lpid,
		.nattch = seg->under_way,
	};
}

int msn_sysv_stat(struct msn_sysv *ns, const struct msn_sysv_cred *cred, int id,
		  struct msn_sysv_stat *out)
{
	struct msn_sysv_segment *seg;
	struct msn_sysv_stat st;

	{
		msn_lock_scope(&ns->lock);
		seg = find_id(ns, id);
		if (!seg)
			return msn_fail(-EINVAL);
		if (!may(seg, cred, PERM_READ))
			return msn_fail(-EACCES);
		fill_stat(seg, &st);
		/* Relaxed: the namespace has a reference. */
		atomic_fetch_add_explicit(&seg->refs, 1, memory_order_relaxed);
	}
	st.nattch += msn_shmem_place_count(seg->data);
	msn_sysv_segment_unref(seg);
	*out = st;
	return 0;
}

/* The segment, if @cred may change it. */
static int find_own(struct msn_sysv *ns, const struct msn_sysv_cred *cred,
		    int id, struct msn_sysv_segment **out)
{
	struct msn_sysv_segment *seg = find_id(ns, id);

	if (!seg)
		return msn_fail(-EINVAL);
	if (!is_owner(seg, cred) && !cred->cap_sys_admin)
		return msn_fail(-EPERM);
	*out = seg;
	return 0;
}

int msn_sysv_set(struct msn_sysv *ns, const struct msn_sysv_cred *cred, int id,
		 uint32_t uid, uint32_t gid, unsigned mode)
{
	int64_t now = ns->host->ops->now(ns->host);
	struct msn_sysv_segment *seg;
	int rc;

	msn_lock_scope(&ns->lock);
	rc = find_own(ns, cred, id, &seg);
	if (rc)
		return msn_pass(rc);
	if (uid == UINT32_MAX || gid == UINT32_MAX)
		return msn_fail(-EINVAL);
	seg->uid = uid;
	seg->gid = gid;
	seg->mode = (seg->mode & ~0777u) | (mode & 0777u);
	seg->ctime = now;
	return 0;
}

int msn_sysv_remove(struct msn_sysv *ns, const struct msn_sysv_cred *cred,
		    int id)
{
	struct msn_sysv_segment *seg;
	bool reaped;
	int rc;

	{
		msn_lock_scope(&ns->lock);
		rc = find_own(ns, cred, id, &seg);
		if (rc)
			return msn_pass(rc);
		seg->mode |= SHM_DEST;
		seg->key = IPC_PRIVATE;
		reaped = msn_sysv_reap(seg);
	}
	if (reaped)
		msn_sysv_segment_unref(seg);
	return 0;
}

/* Bytes that @uid has locked. */
static uint64_t locked_by(const struct msn_sysv *ns, uint32_t uid)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < ns->slot_count; i++) {
		const struct msn_sysv_segment *seg = ns->slots[i];

		if (seg && (seg->mode & SHM_LOCKED) && seg->locker == uid)
			pages += msn_sysv_pages(seg);
	}
	return pages << MSN_PAGE_SHIFT;
}

int msn_sysv_lock(struct msn_sysv *ns, const struct msn_sysv_cred *cred, int id,
		  bool lock)
{
	struct msn_sysv_segment *seg;
	uint64_t want;

	msn_lock_scope(&ns->lock);
	seg = find_id(ns, id);
	if (!seg)
		return msn_fail(-EINVAL);
	if (!cred->cap_ipc_lock &&
	    (!is_owner(seg, cred) || (lock && !cred->memlock_bytes)))
		return msn_fail(-EPERM);
	if (!lock) {
		seg->mode &= ~(unsigned)SHM_LOCKED;
		return 0;
	}
	if (seg->mode & SHM_LOCKED)
		return 0;
	want = msn_sysv_pages(seg) << MSN_PAGE_SHIFT;
	if (!cred->cap_ipc_lock &&
	    locked_by(ns, cred->uid) + want > cred->memlock_bytes)
		return msn_fail(-ENOMEM);
	seg->mode |= SHM_LOCKED;
	seg->locker = cred->uid;
	return 0;
}
