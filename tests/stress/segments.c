/*
 * System V segments in the areas that all threads use.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stress/stress.h"

#include <errno.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#define KEYS 4
#define SEGMENT_PAGES 6
#define PIECES 16 /* that one shmdt() takes here, at the most */

static const struct msn_sysv_cred root = { .cap_ipc_owner = true,
					   .cap_ipc_lock = true,
					   .cap_sys_admin = true };

static int64_t now(struct msn_sysv_host *host)
{
	(void)host;
	return 1;
}

static int32_t pid(struct msn_sysv_host *host)
{
	(void)host;
	return 2;
}

static const struct msn_sysv_host_ops host_ops = { now, pid };

void segments_open(struct world *w)
{
	w->host.ops = &host_ops;
	MUST(msn_sysv_new(&w->ns,
			  &(struct msn_sysv_opts){ .memfile = w->mf,
						   .host = &w->host }) == 0);
}

void segments_close(struct world *w)
{
	for (int key = 1; key <= KEYS; key++) {
		int id = msn_sysv_shmget(w->ns, &root, key, 0, 0);

		if (id >= 0)
			MUST(msn_sysv_remove(w->ns, &root, id) == 0);
	}
	MUST(msn_sysv_usage(w->ns).segments == 0);
	MUST(msn_sysv_usage(w->ns).pages == 0);
	msn_sysv_free(w->ns);
}

static void attach(struct worker *k, struct slot *s, int id)
{
	uint64_t page = pick(k, AREA_PAGES - SEGMENT_PAGES), where;
	struct msn_sysv_attach at;
	int rc = msn_sysv_shmat(k->w->ns, &root, id, AT(SHARED_AREA + page),
				SHM_REMAP | (pick(k, 4) ? 0 : SHM_RDONLY), &at);

	if (rc) {
		MUST(rc == -EINVAL); /* somebody removed it */
		return;
	}
	rc = msn_mm_mmap(s->mm, &at.opts, &where);
	rc = msn_sysv_attached(&at, rc);
	MUST(rc == 0 || rc == -ENOMEM || rc == -EAGAIN); /* limits */
	if (rc == 0)
		atomic_fetch_add(&k->w->attached, 1);
}

/* What a shmdt() is to unmap. */
struct pieces {
	struct msn_sysv_detach d;
	struct msn_addr_range list[PIECES];
	unsigned count;
};

static int look(void *ctx, const struct msn_mapping_view *v)
{
	struct pieces *p = ctx;

	if (v->addr.end <= p->d.addr)
		return 0;
	switch (msn_sysv_detach_look(&p->d, v->addr, v->mappable, v->identity,
				     v->offset)) {
	case MSN_SYSV_DETACH_TAKE:
		if (p->count < PIECES)
			p->list[p->count++] = v->addr;
		return 0;
	case MSN_SYSV_DETACH_SKIP:
		return 0;
	default:
		return 1;
	}
}

static void detach(struct worker *k, struct slot *s)
{
	uint64_t at = AT(SHARED_AREA + pick(k, AREA_PAGES));
	struct pieces p = { .count = 0 };

	MUST(msn_sysv_detach_begin(&p.d, at) == 0);
	MUST(msn_mm_for_each_mapping(s->mm, look, &p) >= 0);
	MUST(msn_sysv_detach_end(&p.d) == (p.count ? 0 : -EINVAL));
	for (unsigned i = 0; i < p.count; i++)
		ignore(msn_mm_munmap(s->mm, p.list[i].start,
				     msn_addr_range_length(p.list[i])));
}

static void ask(struct worker *k, int id)
{
	struct msn_sysv_stat st;
	int rc = msn_sysv_stat(k->w->ns, &root, id, &st);

	MUST(rc == 0 || rc == -EINVAL);
	MUST(rc ||
	     (st.size_bytes >= PAGE && st.size_bytes <= SEGMENT_PAGES * PAGE));
}

void segments_step(struct worker *k, struct slot *s)
{
	struct msn_sysv *ns = k->w->ns;
	int id = msn_sysv_shmget(ns, &root, 1 + (int)pick(k, KEYS),
				 (1 + pick(k, SEGMENT_PAGES)) * PAGE,
				 IPC_CREAT | 0600);
	int rc = 0;

	if (id < 0) {
		MUST(id == -EINVAL); /* there is a smaller one */
		return;
	}
	switch (pick(k, 8)) {
	case 0:
		rc = msn_sysv_remove(ns, &root, id);
		break;
	case 1:
		ask(k, id);
		break;
	case 2:
		rc = msn_sysv_lock(ns, &root, id, pick(k, 2));
		break;
	case 3:
	case 4:
		detach(k, s);
		break;
	default:
		attach(k, s, id);
	}
	MUST(rc == 0 || rc == -EINVAL);
}
