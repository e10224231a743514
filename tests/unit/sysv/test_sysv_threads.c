/*
 * Many threads in one namespace: segments are made, attached, removed and
 * looked at all at once, and nothing is left over or freed too soon.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sysv/sysv.h"

#include "base/cleanup.h"
#include "base/rand.h"
#include "support/check.h"

#include <errno.h>
#include <pthread.h>
#include <sys/ipc.h>

#define PAGE MSN_PAGE_SIZE
#define THREADS 4
#define TURNS (CHECK_SANITIZED ? 2000 : 20000)

static const struct msn_sysv_cred root = { .cap_ipc_owner = true,
					   .cap_sys_admin = true };

struct worker {
	struct msn_mapping_space space;
	struct msn_sysv *ns;
	uint64_t rand;
	uint64_t attached;
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
	return 1;
}

static int32_t pid(struct msn_sysv_host *host)
{
	(void)host;
	return 2;
}

static const struct msn_sysv_host_ops host_ops = { now, pid };

/* Attaches a segment, touches a page and detaches it again. */
static void come_and_go(struct worker *w, int id)
{
	const struct msn_obj_range first = { 0, PAGE };
	const struct msn_addr_range ar = { 8 * PAGE, 9 * PAGE };
	struct msn_sysv_attach at;
	struct msn_mappable *obj;
	struct msn_identity *of;
	struct msn_translation t;
	int why, rc = msn_sysv_shmat(w->ns, &root, id, 0, 0, &at);

	if (rc) { /* somebody removed it */
		CHECK(rc == -EINVAL);
		return;
	}
	obj = at.opts.mappable;
	of = at.opts.mapping_identity;
	CHECK(msn_mappable_add_mapping(obj, &w->space, ar, 0, true) == 0);
	msn_identity_inc_ref(of);
	CHECK(msn_sysv_attached(&at, 0) == 0);
	CHECK(msn_mappable_translate(obj, first, first, MSN_ACCESS_WRITE, &t, 1,
				     &why) == 1);
	msn_mappable_remove_mapping(obj, &w->space, ar, 0, true);
	msn_identity_dec_ref(of);
	w->attached++;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct msn_sysv_stat st;

	for (int i = 0; i < TURNS; i++) {
		int key = 1 + (int)(msn_rand_next(&w->rand) % 3);
		int id = msn_sysv_shmget(w->ns, &root, key, PAGE,
					 IPC_CREAT | 0600);
		int rc = 0;

		CHECK(id >= 0);
		come_and_go(w, id);
		if (msn_rand_next(&w->rand) % 4 == 0)
			rc = msn_sysv_remove(w->ns, &root, id);
		CHECK(rc == 0 || rc == -EINVAL);
		rc = msn_sysv_stat(w->ns, &root, id, &st);
		CHECK(rc == -EINVAL || (rc == 0 && st.nattch <= 2 * THREADS));
	}
	return NULL;
}

static void segments_outlive_whoever_uses_them_and_nobody_else(void)
{
	struct msn_sysv_host host = { &host_ops };
	uint64_t seed = check_seed(), attached = 0;
	struct worker w[THREADS];
	pthread_t threads[THREADS];
	struct msn_memfile *mf;
	struct msn_sysv *ns;

	CHECK(msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_sysv_new(&ns, &(struct msn_sysv_opts){ .memfile = mf,
							 .host = &host }) == 0);
	for (size_t i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ .space = { &space_ops },
					.ns = ns,
					.rand = msn_rand_next(&seed) };
		CHECK(pthread_create(&threads[i], NULL, work, &w[i]) == 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		CHECK(pthread_join(threads[i], NULL) == 0);
		attached += w[i].attached;
	}
	EXPECT(attached > TURNS);
	EXPECT(msn_sysv_usage(ns).segments <= 3);
	EXPECT(msn_sysv_usage(ns).pages == msn_sysv_usage(ns).segments);
	EXPECT(msn_memfile_used(mf) <= 3 * PAGE);
	msn_sysv_free(ns);
	EXPECT(msn_memfile_used(mf) == 0);
	msn_memfile_free(mf);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(segments_outlive_whoever_uses_them_and_nobody_else),
		{}
	};

	return check_main(argc, argv, "sysv threads", tests);
}
