/*
 * A memfd that threads map, write and seal, and mmap(2) with all its flags.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sealing says no while anybody may write.  Once it said yes, nobody finds
 * another byte there than at that moment, whatever mappings are left.
 */
#include "stress/stress.h"

#include "shmem/seals.h"

#include <errno.h>
#include <string.h>

#define SIZE (OBJECT_PAGES * PAGE)
#define SEALS ((unsigned)(F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW))

static void sealed_renew(struct world *w)
{
	struct sealed *o = &w->sealed;

	if (o->shmem)
		msn_identity_dec_ref(msn_shmem_identity(o->shmem));
	MUST(msn_memfd_create(&o->shmem,
			      &(struct msn_memfd_opts){
				      .memfile = w->mf,
				      .name = "sealed",
				      .flags = MFD_ALLOW_SEALING }) == 0);
	MUST(msn_shmem_truncate(o->shmem, SIZE) == 0);
	o->frozen = false;
}

void sealed_open(struct world *w)
{
	MUST(pthread_rwlock_init(&w->sealed.gate, NULL) == 0);
	w->sealed.shmem = NULL;
	sealed_renew(w);
}

void sealed_close(struct world *w)
{
	MUST(msn_shmem_place_count(w->sealed.shmem) == 0);
	msn_identity_dec_ref(msn_shmem_identity(w->sealed.shmem));
	pthread_rwlock_destroy(&w->sealed.gate);
}

static void look_at_all(struct sealed *o)
{
	static _Thread_local uint8_t now[SIZE];

	MUST(msn_shmem_pread(o->shmem, now, SIZE, 0) == SIZE);
	MUST(!o->frozen || memcmp(now, o->bytes, SIZE) == 0);
	chaos_look(now, SIZE, 0, true);
}

void sealed_check(struct world *w)
{
	look_at_all(&w->sealed);
	stress_check(msn_shmem_check(w->sealed.shmem));
}

/* Seals the memfd if nobody may write it; a sealed one makes room. */
static void seal_or_renew(struct worker *k)
{
	struct sealed *o = &k->w->sealed;
	int rc;

	if (pthread_rwlock_trywrlock(&o->gate) != 0)
		return;
	if (o->frozen) {
		look_at_all(o);
		sealed_renew(k->w);
	} else {
		rc = msn_shmem_add_seals(o->shmem, SEALS);
		MUST(rc == 0 || rc == -EBUSY);
		o->frozen = rc == 0;
		/* Mappings that may write it can stay for long. */
		if (rc && pick(k, 4) == 0)
			sealed_renew(k->w);
		if (o->frozen) {
			MUST(msn_shmem_pread(o->shmem, o->bytes, SIZE, 0) ==
			     SIZE);
			atomic_fetch_add(&k->w->frozen, 1);
		}
	}
	MUST(pthread_rwlock_unlock(&o->gate) == 0);
}

static void map_sealed(struct worker *k, struct slot *s)
{
	struct sealed *o = &k->w->sealed;
	struct place p = pick_place(k, s);
	bool writes = pick(k, 2);
	struct msn_open_file file = {
		.identity = msn_shmem_identity(o->shmem),
		.mappable = msn_shmem_mappable(o->shmem),
		.readable = true,
		.writable = pick(k, 4),
	};
	struct msn_mmap_call call = {
		.addr = p.addr,
		.length = p.length,
		.prot = PROT_READ | (writes ? PROT_WRITE : 0),
		.flags = MAP_FIXED | (p.shared ? MAP_SHARED : MAP_PRIVATE),
		.file = &file,
		.offset = pick(k, OBJECT_PAGES) * PAGE,
	};
	uint64_t addr;
	int rc = msn_mm_sys_mmap(s->mm, &call, &addr);

	/* Limits come first. */
	if (p.shared && writes && (!file.writable || o->frozen))
		MUST(rc == (file.writable ? -EPERM : -EACCES) ||
		     rc == -ENOMEM || rc == -EAGAIN);
}

static void write_sealed(struct worker *k)
{
	struct sealed *o = &k->w->sealed;
	uint8_t bytes[300];
	int64_t at = (int64_t)pick(k, SIZE - sizeof(bytes));
	ssize_t n;

	memset(bytes, SHARED_BYTE, sizeof(bytes));
	n = msn_shmem_pwrite(o->shmem, bytes, sizeof(bytes), at);
	MUST(n == (o->frozen ? -EPERM : (ssize_t)sizeof(bytes)));
}

void sealed_step(struct worker *k, struct slot *s)
{
	struct sealed *o = &k->w->sealed;
	uint64_t n = pick(k, 8);

	if (n == 0) {
		seal_or_renew(k);
		return;
	}
	if (pthread_rwlock_tryrdlock(&o->gate) != 0)
		return;
	if (n < 3)
		map_sealed(k, s);
	else if (n < 6)
		write_sealed(k);
	else
		look_at_all(o);
	MUST(pthread_rwlock_unlock(&o->gate) == 0);
}

/* ---- mmap(2) ------------------------------------------------------------- */

static int make_shared(void *ctx, uint64_t size, struct msn_mappable **obj,
		       struct msn_identity **id)
{
	struct world *w = ctx;
	struct msn_shmem *s;
	int rc = msn_shmem_new(
		&s, &(struct msn_shmem_opts){ .memfile = w->mf, .size = size });

	if (rc)
		return rc;
	*obj = msn_shmem_mappable(s);
	*id = msn_shmem_identity(s);
	return 0;
}

static int any_flags(struct worker *k, bool shared, bool anonymous)
{
	static const int extra[] = {
		MAP_POPULATE, MAP_LOCKED,    MAP_NORESERVE,
		MAP_STACK,    MAP_GROWSDOWN, MAP_NONBLOCK
	};
	int flags = shared ? MAP_SHARED : MAP_PRIVATE;

	if (shared && !anonymous && pick(k, 4) == 0)
		flags = MAP_SHARED_VALIDATE;
	if (anonymous)
		flags |= MAP_ANONYMOUS;
	flags |= pick(k, 4) ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	if (pick(k, 2))
		flags |= extra[pick(k, sizeof(extra) / sizeof(extra[0]))];
	return flags;
}

void sys_mmap_step(struct worker *k, struct slot *s)
{
	struct place p = pick_place(k, s);
	const struct object *o = &k->w->objects[pick(k, OBJECTS)];
	bool anonymous = pick(k, 2);
	struct msn_open_file file = { .identity = o->identity,
				      .mappable = o->mappable,
				      .readable = pick(k, 8),
				      .writable = pick(k, 4),
				      .no_exec = pick(k, 8) == 0 };
	struct msn_mmap_call call = {
		.addr = p.addr,
		.length = p.length - pick(k, PAGE),
		.prot = (int)pick(k, 8), /* PROT_* */
		.flags = any_flags(k, p.shared, anonymous),
		.file = anonymous ? NULL : &file,
		.offset = pick(k, OBJECT_PAGES) * PAGE,
		.shared = make_shared,
		.ctx = k->w,
	};
	uint64_t addr = 0;

	if (msn_mm_sys_mmap(s->mm, &call, &addr) == 0)
		MUST(addr == p.addr);
}
