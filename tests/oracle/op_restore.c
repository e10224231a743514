/*
 * Op: save the space and go on in a clone of the snapshot.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * To the kernel's side nothing happens.  Nor to the engine's while there are
 * several spaces: a restore makes objects of its own, and who shared them with
 * another space would not any more.
 *
 * Not done where there are restores: private mappings of /dev/zero, which no
 * snapshot holds.
 */
#include "oracle/op_common.h"

#include "restore/restore.h"
#include "save/save.h"
#include "store/store.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void make_restore(struct gen *g, struct step *s)
{
	(void)g;
	(void)s;
}

static void kernel_restore(struct kernel *k, const struct step *s,
			   struct outcome *o)
{
	(void)k;
	(void)s;
	o->result = 0;
}

static int remove_one(const char *path, const struct stat *st, int kind,
		      struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

/* Without limits: a restore brings back also what they forbid by now. */
static struct msn_mm *empty_space(struct engine *e)
{
	struct msn_mm_opts opts = engine_space_opts(e, NULL);
	struct msn_mm *mm;

	if (msn_platform_none_new(&opts.as) || msn_mm_new(&mm, &opts))
		die("no space to restore into");
	return mm;
}

static int clone_into(struct msn_store *store, struct msn_uid uid,
		      struct msn_mm *to, struct msn_failure *why)
{
	struct msn_opened *opened;
	int rc = msn_open_snapshot(&opened, store, uid,
				   &(struct msn_open_opts){ .eager = true },
				   why);

	if (rc == 0) {
		rc = msn_clone(opened, to, &(struct msn_clone_opts){ 0 }, why);
		msn_opened_free(opened);
	}
	return rc;
}

/* Makes @to a clone of @from, through a store of its own. */
static int save_and_restore(struct msn_mm *from, struct msn_mm *to,
			    const char *folder)
{
	struct msn_failure why = { 0 };
	struct msn_mm_limits limits;
	struct msn_store *store;
	struct msn_uid uid;
	int rc = msn_store_open(
		&store,
		&(struct msn_store_opts){ .path = folder, .create = true },
		&why);

	if (rc)
		die("cannot open a store: %s", why.text);
	rc = msn_save(from, store, &(struct msn_save_opts){ 0 }, &uid, NULL,
		      &why);
	if (rc == 0)
		rc = clone_into(store, uid, to, &why);
	if (rc)
		fprintf(stderr, "restore: %s\n", why.text);
	msn_store_close(store);
	msn_mm_get_limits(from, &limits);
	msn_mm_set_limits(to, &limits);
	return rc;
}

static void store_folder(char out[64], pid_t pid)
{
	snprintf(out, 64, "/dev/shm/memsnap-oracle-store-%d", (int)pid);
}

void op_restore_clean(pid_t pid)
{
	char folder[64];

	store_folder(folder, pid);
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static bool is_alone(const struct engine *e)
{
	return (e->side.spaces & (e->side.spaces - 1)) == 0;
}

static void run_restore(struct engine *e, const struct step *s,
			struct outcome *o)
{
	struct engine_files_places places;
	char folder[64];
	struct msn_mm *old = engine_mm(e, s), *to;

	if (!is_alone(e))
		return;
	to = empty_space(e);
	engine_files_find(&e->files, old, &places);
	store_folder(folder, getpid());
	if (mkdir(folder, 0700))
		die("cannot make %s: %m", folder);
	o->result = save_and_restore(old, to, folder);
	if (o->result) {
		msn_mm_free(to);
	} else {
		e->mm[s->space] = to;
		engine_files_follow(&e->files, to, &places);
		msn_mm_free(old);
	}
	op_restore_clean(getpid());
}

const struct op op_restore = {
	.name = "restore",
	.args = { NULL },
	.weight = 0, /* --save-restore says how often */
	.make = make_restore,
	.kernel = kernel_restore,
	.engine = run_restore,
};
