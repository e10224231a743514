/*
 * The same random calls in a new IPC namespace of the running kernel and in one
 * of ours: results, errnos, what IPC_STAT says and the bytes must be the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sysv/sysv.h"

#include "base/cleanup.h"
#include "base/rand.h"
#include "support/check.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#define PAGE MSN_PAGE_SIZE
#define BASE UINT64_C(0x200000000000)
#define PAGES 64 /* where segments are attached */
#define IDS 64
#define STEPS (CHECK_SANITIZED ? 4000 : 20000)
#define MEMLOCK (4 * PAGE)

/* A page of the space that stands for a process. */
struct page {
	struct msn_identity *id; /* one reference; NULL: not mapped */
	struct msn_mappable *obj;
	uint64_t offset;
	bool writable;
};

struct pair {
	struct msn_memfile *mf;
	struct msn_sysv *ns;
	struct msn_sysv_host host;
	struct msn_mapping_space space;
	struct page pages[PAGES];
	int ids[IDS];
	size_t id_count;
	struct msn_sysv_cred root, user, *cred; /* who calls now */
	uint64_t rand;
	int step;
};

static void ignore(struct msn_mapping_space *ms, struct msn_addr_range ar,
		   struct msn_invalidate_opts opts)
{
	(void)ms;
	(void)ar;
	(void)opts;
}

static const struct msn_mapping_space_ops space_ops = { .invalidate = ignore };

static int64_t now(struct msn_sysv_host *host)
{
	(void)host;
	return time(NULL);
}

static int32_t pid(struct msn_sysv_host *host)
{
	(void)host;
	return getpid();
}

static const struct msn_sysv_host_ops host_ops = { now, pid };

static uint64_t below(struct pair *p, uint64_t n)
{
	return msn_rand_next(&p->rand) % n;
}

static int64_t result(int64_t rc)
{
	return rc == -1 ? -errno : rc;
}

static void same(struct pair *p, const char *what, int64_t kernel, int64_t ours)
{
	if (kernel != ours)
		printf("\n    step %d: %s: the kernel says %lld, we say %lld",
		       p->step, what, (long long)kernel, (long long)ours);
	CHECK(kernel == ours);
}

/* ---- The space ----------------------------------------------------------- */

static bool continues(const struct page *a, const struct page *b)
{
	return a->id && a->id == b->id && a->offset + PAGE == b->offset;
}

/* The end of the mapping that page @i is in, at most @end. */
static uint64_t run_end(struct pair *p, uint64_t i, uint64_t end)
{
	for (i++; i < end && continues(&p->pages[i - 1], &p->pages[i]);)
		i++;
	return i;
}

static void unmap(struct pair *p, uint64_t from, uint64_t end)
{
	for (uint64_t i = from, next; i < end; i = next) {
		struct page first = p->pages[i];

		next = run_end(p, i, end);
		if (!first.id)
			continue;
		msn_mappable_remove_mapping(
			first.obj, &p->space,
			(struct msn_addr_range){ BASE + i * PAGE,
						 BASE + next * PAGE },
			first.offset, first.writable);
		for (uint64_t k = i; k < next; k++) {
			msn_identity_dec_ref(p->pages[k].id);
			p->pages[k] = (struct page){ 0 };
		}
	}
}

/* As mm's mmap of a fixed place. */
static int map(struct pair *p, const struct msn_mmap_opts *o)
{
	uint64_t from = (o->addr - BASE) / PAGE, end;
	bool writable = o->max_perms & MSN_ACCESS_WRITE;
	int rc;

	CHECK(o->fixed && o->addr >= BASE && !o->private);
	if (o->addr >= BASE + PAGES * PAGE)
		return -ENOMEM; /* past the end of the address space */
	end = from + (o->length + PAGE - 1) / PAGE;
	CHECK(end <= PAGES);
	for (uint64_t i = from; o->no_replace && i < end; i++)
		if (p->pages[i].id)
			return -EEXIST;
	if (o->unmap)
		unmap(p, from, end);
	rc = msn_mappable_add_mapping(
		o->mappable, &p->space,
		(struct msn_addr_range){ o->addr, BASE + end * PAGE }, 0,
		writable);
	for (uint64_t i = from; rc == 0 && i < end; i++) {
		msn_identity_inc_ref(o->mapping_identity);
		p->pages[i] = (struct page){ o->mapping_identity, o->mappable,
					     (i - from) * PAGE, writable };
	}
	return rc;
}

/* ---- Calls --------------------------------------------------------------- */

/* Becomes the user or root again; both have the kernel's rights of their own.
 */
static void become(struct pair *p, struct msn_sysv_cred *cred)
{
	p->cred = cred;
	CHECK(setresuid(0, 0, 0) == 0);
	CHECK(setresgid(cred->gid, cred->gid, 0) == 0);
	CHECK(setresuid(cred->uid, cred->uid, 0) == 0);
}

static int some_id(struct pair *p)
{
	if (p->id_count == 0 || below(p, 30) == 0)
		return (int)below(p, 3) - 1 + (int)(below(p, 2) << 15);
	return p->ids[below(p, p->id_count)];
}

static void do_get(struct pair *p)
{
	static const uint64_t sizes[] = {
		0, 1, 4096, 5000, 5 * 4096, UINT64_MAX
	};
	static const int flags[] = { IPC_CREAT, IPC_CREAT | IPC_EXCL, IPC_EXCL,
				     0, IPC_CREAT };
	static const int modes[] = { 0600, 0640, 0, 0666, 0400, 0777, 03007 };
	int key = (int)below(p, 5);
	uint64_t size = sizes[below(p, MSN_ARRAY_LEN(sizes))];
	int flag = flags[below(p, MSN_ARRAY_LEN(flags))] |
		   modes[below(p, MSN_ARRAY_LEN(modes))];
	int64_t id;

	if (p->id_count == IDS)
		return;
	id = result(shmget(key, size, flag));
	same(p, "shmget", id, msn_sysv_shmget(p->ns, p->cred, key, size, flag));
	for (size_t i = 0; i < p->id_count; i++)
		if (p->ids[i] == id)
			return;
	if (id >= 0)
		p->ids[p->id_count++] = (int)id;
}

static void do_at(struct pair *p)
{
	static const int flags[] = { 0,
				     0,
				     SHM_RND,
				     SHM_REMAP,
				     SHM_RDONLY,
				     SHM_EXEC,
				     SHM_RND | SHM_REMAP | SHM_RDONLY,
				     0x345 };
	static const uint64_t odd[] = { 1, 4096, UINT64_MAX - 4095 };
	int id = some_id(p), flag = flags[below(p, MSN_ARRAY_LEN(flags))];
	uint64_t addr = BASE + below(p, PAGES - 8) * PAGE;
	struct msn_sysv_attach at;
	int64_t kernel;
	int rc;

	if (below(p, 6) == 0)
		addr += below(p, PAGE);
	if (below(p, 20) == 0) /* what no segment can be attached at */
		addr = odd[below(p, MSN_ARRAY_LEN(odd))];
	if (addr < BASE)
		flag = addr == 1 ? SHM_RND | SHM_REMAP : flag & ~SHM_REMAP;
	if (addr == 4096) /* the rules of mm, not of segments */
		return;
	if (addr > BASE + PAGES * PAGE)
		flag &= ~SHM_REMAP;
	kernel = result((intptr_t)shmat(id, (void *)(uintptr_t)addr, flag));
	rc = msn_sysv_shmat(p->ns, p->cred, id, addr, flag, &at);
	if (rc == 0) {
		addr = at.opts.addr;
		rc = msn_sysv_attached(&at, map(p, &at.opts));
	}
	same(p, "shmat", kernel, rc ? rc : (int64_t)addr);
}

static void do_dt(struct pair *p)
{
	uint64_t addr = BASE + below(p, PAGES) * PAGE, next;
	struct msn_sysv_detach d;
	int64_t kernel;
	int rc;

	if (below(p, 20) == 0)
		addr++;
	kernel = result(shmdt((void *)(uintptr_t)addr));
	rc = msn_sysv_detach_begin(&d, addr);
	for (uint64_t i = 0; rc == 0 && i < PAGES; i = next) {
		struct page first = p->pages[i];
		enum msn_sysv_detach_verdict v;

		next = run_end(p, i, PAGES);
		if (!first.id || BASE + next * PAGE <= addr)
			continue;
		v = msn_sysv_detach_look(
			&d,
			(struct msn_addr_range){ BASE + i * PAGE,
						 BASE + next * PAGE },
			first.obj, first.id, first.offset);
		if (v == MSN_SYSV_DETACH_STOP)
			break;
		if (v == MSN_SYSV_DETACH_TAKE)
			unmap(p, i, next);
	}
	same(p, "shmdt", kernel, rc ? rc : msn_sysv_detach_end(&d));
}

static void do_munmap(struct pair *p)
{
	uint64_t from = below(p, PAGES - 4), end = from + 1 + below(p, 3);

	CHECK(munmap((void *)(uintptr_t)(BASE + from * PAGE),
		     (end - from) * PAGE) == 0);
	unmap(p, from, end);
}

static void do_set(struct pair *p)
{
	const uint32_t owners[] = { 0, p->user.uid, 1, UINT32_MAX };
	struct shmid_ds ds = { 0 };
	int id = some_id(p);

	ds.shm_perm.uid = owners[below(p, below(p, 4) ? 2 : 4)];
	ds.shm_perm.gid = owners[below(p, below(p, 4) ? 2 : 4)];
	ds.shm_perm.mode = (unsigned short)below(p, 010000);
	same(p, "IPC_SET", result(shmctl(id, IPC_SET, &ds)),
	     msn_sysv_set(p->ns, p->cred, id, ds.shm_perm.uid, ds.shm_perm.gid,
			  ds.shm_perm.mode));
}

static void do_remove(struct pair *p)
{
	int id = some_id(p);

	same(p, "IPC_RMID", result(shmctl(id, IPC_RMID, NULL)),
	     msn_sysv_remove(p->ns, p->cred, id));
}

static void do_lock(struct pair *p)
{
	bool lock = below(p, 3);
	int id = some_id(p);

	same(p, "SHM_LOCK or SHM_UNLOCK",
	     result(shmctl(id, lock ? SHM_LOCK : SHM_UNLOCK, NULL)),
	     msn_sysv_lock(p->ns, p->cred, id, lock));
}

/* Writes a byte, and compares the bytes of a page. */
static void do_touch(struct pair *p)
{
	uint64_t i = below(p, PAGES), in = below(p, PAGE);
	struct page *page = &p->pages[i];
	struct msn_obj_range r = { page->offset, page->offset + PAGE };
	char *at = (char *)(uintptr_t)(BASE + i * PAGE), copy[MSN_PAGE_SIZE];
	struct msn_translation t;
	size_t done;
	int why;

	if (!page->id)
		return;
	CHECK(msn_mappable_translate(page->obj, r, r, MSN_ACCESS_WRITE, &t, 1,
				     &why) == 1);
	if (page->writable) {
		char c = (char)below(p, 256);

		at[in] = c;
		CHECK(msn_file_write(t.file, t.offset + in, &c, 1, &done) == 0);
	}
	CHECK(msn_file_read(t.file, t.offset, copy, PAGE, &done) == 0);
	same(p, "the bytes of a page", 0, memcmp(at, copy, PAGE));
}

static void do_become(struct pair *p)
{
	become(p, below(p, 2) ? &p->root : &p->user);
}

/* ---- Comparing ----------------------------------------------------------- */

static void compare_stat(struct pair *p, int id)
{
	struct shmid_ds ds;
	struct msn_sysv_stat st;
	int64_t rc = result(shmctl(id, IPC_STAT, &ds));

	same(p, "IPC_STAT", rc, msn_sysv_stat(p->ns, p->cred, id, &st));
	if (rc)
		return;
	same(p, "key", ds.shm_perm.__key, st.key);
	same(p, "mode", ds.shm_perm.mode, st.mode);
	same(p, "seq", ds.shm_perm.__seq, st.seq);
	same(p, "uid", ds.shm_perm.uid, st.uid);
	same(p, "gid", ds.shm_perm.gid, st.gid);
	same(p, "cuid", ds.shm_perm.cuid, st.cuid);
	same(p, "cgid", ds.shm_perm.cgid, st.cgid);
	same(p, "size", (int64_t)ds.shm_segsz, (int64_t)st.size_bytes);
	same(p, "nattch", (int64_t)ds.shm_nattch, (int64_t)st.nattch);
	same(p, "atime", ds.shm_atime != 0, st.atime != 0);
	same(p, "dtime", ds.shm_dtime != 0, st.dtime != 0);
	same(p, "cpid", ds.shm_cpid, st.cpid);
	same(p, "lpid", ds.shm_lpid, st.lpid);
}

static void compare(struct pair *p)
{
	struct msn_sysv_usage ours = msn_sysv_usage(p->ns);
	struct shm_info info;

	CHECK(shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info) >= 0);
	same(p, "segments", info.used_ids, ours.segments);
	same(p, "pages", (int64_t)info.shm_tot, (int64_t)ours.pages);
	for (size_t i = 0; i < p->id_count; i++)
		compare_stat(p, p->ids[i]);
}

/* Forgets ids that lead nowhere, so that new ones are made. */
static void forget(struct pair *p)
{
	struct msn_sysv_stat st;
	size_t kept = 0;

	if (p->id_count < IDS - 4)
		return;
	for (size_t i = 0; i < p->id_count; i++)
		if (msn_sysv_stat(p->ns, &p->root, p->ids[i], &st) == 0)
			p->ids[kept++] = p->ids[i];
	p->id_count = kept;
}

static void start(struct pair *p)
{
	struct rlimit memlock = { MEMLOCK, MEMLOCK };
	static const uint32_t groups[] = { 0 };

	if (geteuid() != 0 || unshare(CLONE_NEWIPC) < 0)
		check_skip("making an IPC namespace needs root");
	CHECK(setrlimit(RLIMIT_MEMLOCK, &memlock) == 0);
	CHECK(msn_memfile_new(&p->mf, &(struct msn_memfile_opts){ 0 }) == 0);
	p->host.ops = &host_ops;
	p->space.ops = &space_ops;
	CHECK(msn_sysv_new(&p->ns,
			   &(struct msn_sysv_opts){ .memfile = p->mf,
						    .host = &p->host }) == 0);
	p->root = (struct msn_sysv_cred){ .cap_ipc_owner = true,
					  .cap_ipc_lock = true,
					  .cap_sys_admin = true,
					  .memlock_bytes = MEMLOCK };
	/* The kernel counts locked memory by user: one of this run alone. */
	p->user = (struct msn_sysv_cred){ .uid = 1000000 + (uint32_t)getpid(),
					  .gid = 1000000 + (uint32_t)getpid(),
					  .groups = groups,
					  .group_count = below(p, 2),
					  .memlock_bytes = MEMLOCK };
	CHECK(setgroups(p->user.group_count, groups) == 0);
	p->cred = &p->root;
}

static void finish(struct pair *p)
{
	become(p, &p->root);
	unmap(p, 0, PAGES);
	munmap((void *)(uintptr_t)BASE, PAGES * PAGE);
	compare(p);
	for (size_t i = 0; i < p->id_count; i++)
		shmctl(p->ids[i], IPC_RMID, NULL);
	msn_sysv_free(p->ns);
	EXPECT(msn_memfile_used(p->mf) == 0);
	msn_memfile_free(p->mf);
}

static void segments_do_what_the_kernels_do(void)
{
	static void (*const ops[])(struct pair *) = {
		do_get,	   do_get,   do_get,   do_at,	  do_at,  do_at,
		do_at,	   do_dt,    do_dt,    do_munmap, do_set, do_lock,
		do_remove, do_touch, do_touch, do_become,
	};
	static struct pair p;

	p.rand = check_seed();
	start(&p);
	for (p.step = 0; p.step < STEPS; p.step++) {
		ops[below(&p, MSN_ARRAY_LEN(ops))](&p);
		compare(&p);
		forget(&p);
	}
	finish(&p);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(segments_do_what_the_kernels_do), {}
	};

	return check_main(argc, argv, "sysv oracle", tests);
}
