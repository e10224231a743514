/*
 * Crash: a process that saves and removes snapshots is killed at 200 random
 * moments; every acknowledged snapshot must be whole afterwards.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The child tells over a pipe what it is about to do and what was acknowledged.
 * The parent keeps the list of what must be there: a snapshot whose save was
 * acknowledged, unless its removal was begun.  After each kill it opens the
 * store, reads every such snapshot with all its pages, and compares each page
 * with what was in the space.
 *
 * Each snapshot is published with a note, a record that answers for it and an
 * event; it is removed with its record and another event.  After each kill the
 * events, one after the other, tell exactly which snapshots there are, and each
 * of them has its note and its record.
 */
#include "base/fd.h"
#include "base/rand.h"
#include "restore/restore.h"
#include "save/save.h"
#include "support/check.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILLS 200
#define PAGES 600
#define BASE UINT64_C(0x120000000000)
#define KEEP 12 /* snapshots that live at the same time */

/* What the child says. */
struct event {
	enum what { SAVED = 1, REMOVING, REMOVED } what;
	struct msn_uid uid;
	uint64_t seed; /* of the contents */
};

struct expected {
	struct msn_uid uid;
	uint64_t seed;
	bool removing; /* may or may not be there */
};

struct world {
	char path[64];
	uint64_t rand;
	struct expected list[4 * KEEP];
	size_t count;
	unsigned acknowledged;
};

/* The bytes of page @i of a space with contents @seed: a third is zero. */
static void make_page(uint64_t seed, uint64_t i, uint64_t *page)
{
	uint64_t state = seed * 1000003 + i;

	memset(page, 0, MSN_PAGE_SIZE);
	if (i % 3 == 0)
		return;
	/* Pages differ between seeds only here and there, so that parents
	 * are shared. */
	if (i % 5)
		state = i;
	for (size_t k = 0; k < MSN_PAGE_SIZE / 8; k++)
		page[k] = msn_rand_next(&state);
}

static struct msn_mm *make_space(struct msn_memfile *mf)
{
	struct msn_mmap_opts o = { .length = PAGES * MSN_PAGE_SIZE,
				   .addr = BASE,
				   .fixed = true,
				   .unmap = true,
				   .perms = MSN_ACCESS_READ | MSN_ACCESS_WRITE,
				   .max_perms = MSN_ACCESS_ANY,
				   .private = true };
	struct msn_address_space *as;
	struct msn_mm *mm;
	uint64_t addr;

	CHECK(msn_platform_none_new(&as) == 0);
	CHECK(msn_mm_new(&mm, &(struct msn_mm_opts){ .memfile = mf,
						     .as = as }) == 0);
	CHECK(msn_mm_mmap(mm, &o, &addr) == 0);
	return mm;
}

static void write_space(struct msn_mm *mm, uint64_t seed)
{
	uint64_t page[MSN_PAGE_SIZE / 8];
	size_t done;

	for (uint64_t i = 0; i < PAGES; i++) {
		make_page(seed, i, page);
		CHECK(msn_mm_copy_out(mm, BASE + i * MSN_PAGE_SIZE, page,
				      sizeof(page), (struct msn_mm_io){ 0 },
				      &done) == 0);
	}
}

static void say(int fd, enum what what, struct msn_uid uid, uint64_t seed)
{
	struct event e = { what, uid, seed };

	if (write(fd, &e, sizeof(e)) != sizeof(e))
		_exit(1);
}

/* ---- What goes with a snapshot ------------------------------------------- */

/* What an event's bytes say. */
struct told {
	enum what what; /* SAVED or REMOVED */
	struct msn_uid uid;
	uint64_t seed;
};

struct companion {
	struct told told;
	struct msn_record_change changes[2];
};

/* The event, and the record made or deleted. */
static struct msn_beside companion(struct companion *c)
{
	bool saved = c->told.what == SAVED;

	c->changes[0] =
		(struct msn_record_change){ .op = MSN_RECORD_APPEND,
					    .kind = MSN_RECORD_EVENT,
					    .value = &c->told,
					    .value_len = sizeof(c->told) };
	c->changes[1] = (struct msn_record_change){
		.op = saved ? MSN_RECORD_ADD : MSN_RECORD_DELETE,
		.kind = MSN_RECORD_REQUEST,
		.key = c->told.uid.bytes,
		.key_len = sizeof(c->told.uid.bytes),
		.value = &c->told.seed,
		.value_len = saved ? sizeof(c->told.seed) : 0
	};
	return (struct msn_beside){ c->changes, 2 };
}

static int publishing(void *ctx, const struct msn_snapshot_info *info,
		      struct msn_companions *out, struct msn_failure *why)
{
	struct companion *c = ctx;

	(void)why;
	c->told.uid = info->uid;
	out->note = &c->told.seed;
	out->note_len = sizeof(c->told.seed);
	out->beside = companion(c);
	return 0;
}

static int remove_it(struct msn_store *store, struct msn_uid uid,
		     struct msn_failure *why)
{
	struct companion c = { .told = { .what = REMOVED, .uid = uid } };
	struct msn_remove_opts opts = { .revision = MSN_NOTE_ANY,
					.beside = companion(&c) };

	return msn_store_remove(store, uid, &opts, why);
}

/* Another note of the same bytes, and nothing else. */
static int touch_it(struct msn_store *store, struct msn_uid uid,
		    struct msn_failure *why)
{
	struct msn_update_opts opts = { .revision = MSN_NOTE_ANY };

	return msn_store_update(store, uid, &opts, NULL, why);
}

/* Saves and removes until it is killed. */
__attribute__((noreturn)) static void child(const char *path, int fd,
					    uint64_t rand)
{
	struct msn_failure why = { 0 };
	struct msn_uid kept[KEEP];
	struct msn_memfile *mf;
	struct msn_store *store;
	struct msn_mm *mm;
	size_t count = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }) ||
	    msn_store_open(
		    &store,
		    &(struct msn_store_opts){ .path = path, .create = true },
		    &why)) {
		fprintf(stderr, "child: %s\n", why.text);
		_exit(1);
	}
	mm = make_space(mf);
	for (;;) {
		uint64_t seed = msn_rand_next(&rand);
		struct companion c = { .told = { .what = SAVED,
						 .seed = seed } };
		struct msn_save_opts opts = { .publishing = publishing,
					      .publishing_ctx = &c };
		struct msn_uid uid;

		write_space(mm, seed);
		if (count > 0)
			opts.parent = &kept[count - 1];
		if (msn_save(mm, store, &opts, &uid, NULL, &why))
			break;
		say(fd, SAVED, uid, seed);
		kept[count++] = uid;
		if (msn_rand_next(&rand) % 2 && touch_it(store, uid, &why))
			break;
		if (count < KEEP / 2 || msn_rand_next(&rand) % 2)
			if (count < KEEP)
				continue;
		say(fd, REMOVING, kept[0], 0);
		if (remove_it(store, kept[0], &why))
			break;
		say(fd, REMOVED, kept[0], 0);
		memmove(kept, kept + 1, --count * sizeof(kept[0]));
	}
	fprintf(stderr, "child: %s\n", why.text);
	_exit(1);
}

static struct expected *find(struct world *w, struct msn_uid uid)
{
	for (size_t i = 0; i < w->count; i++)
		if (msn_uid_equal(w->list[i].uid, uid))
			return &w->list[i];
	return NULL;
}

static void note(struct world *w, const struct event *e)
{
	struct expected *x = find(w, e->uid);

	if (e->what == SAVED) {
		CHECK(w->count < MSN_ARRAY_LEN(w->list));
		w->list[w->count++] = (struct expected){ e->uid, e->seed, 0 };
		w->acknowledged++;
		return;
	}
	CHECK(x);
	x->removing = true;
	if (e->what == REMOVED)
		*x = w->list[--w->count];
}

static void compare(struct msn_mm *mm, uint64_t seed)
{
	uint64_t want[MSN_PAGE_SIZE / 8], got[MSN_PAGE_SIZE / 8];
	size_t done;

	for (uint64_t i = 0; i < PAGES; i++) {
		make_page(seed, i, want);
		CHECK(msn_mm_copy_in(mm, BASE + i * MSN_PAGE_SIZE, got,
				     sizeof(got), (struct msn_mm_io){ 0 },
				     &done) == 0);
		CHECK(memcmp(want, got, sizeof(got)) == 0);
	}
}

/* Reads a snapshot with all its pages. */
static void check_whole(struct msn_store *store, const struct expected *x)
{
	struct msn_open_opts eager = { .eager = true };
	struct msn_clone_opts none = { 0 };
	struct msn_failure why = { 0 };
	struct msn_address_space *as;
	struct msn_memfile *mf;
	struct msn_opened *o;
	struct msn_mm *mm;
	int rc = msn_open_snapshot(&o, store, x->uid, &eager, &why);

	if (rc)
		printf("%s\n", why.text);
	CHECK(rc == 0);
	CHECK(msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }) == 0);
	CHECK(msn_platform_none_new(&as) == 0);
	CHECK(msn_mm_new(&mm, &(struct msn_mm_opts){ .memfile = mf,
						     .as = as }) == 0);
	CHECK(msn_clone(o, mm, &none, &why) == 0);
	compare(mm, x->seed);
	msn_mm_free(mm);
	msn_memfile_free(mf);
	msn_opened_free(o);
}

static bool is_listed(struct msn_store *store, struct msn_uid uid)
{
	struct msn_snapshot_info info;
	struct msn_failure why = { 0 };

	return msn_store_info(store, uid, &info, &why) == 0;
}

static void check_companions(struct msn_store *store, struct msn_uid uid,
			     uint64_t seed)
{
	struct msn_note note;
	uint8_t *answer;
	size_t len;

	CHECK(msn_store_note(store, uid, &note, NULL) == 0);
	CHECK(note.len == sizeof(seed) &&
	      memcmp(note.bytes, &seed, sizeof(seed)) == 0);
	CHECK(msn_store_record(store, MSN_RECORD_REQUEST, uid.bytes,
			       sizeof(uid.bytes), &answer, &len, NULL) == 0);
	CHECK(len == sizeof(seed) && memcmp(answer, &seed, len) == 0);
	free(note.bytes);
	free(answer);
}

/* Reads the next events; what they say of @alive is entered there. */
static bool read_events(struct msn_store *store, uint64_t *last,
			struct expected *alive, size_t *count)
{
	uint8_t from[8];
	struct msn_record_walk how = { .kind = MSN_RECORD_EVENT,
				       .from = from,
				       .from_len = 8,
				       .after = true,
				       .limit = 1000 };
	struct msn_records r;
	bool more;

	for (int i = 0; i < 8; i++)
		from[i] = (uint8_t)(*last >> (56 - 8 * i));
	CHECK(msn_store_records(store, &how, &r, NULL) == 0);
	for (size_t i = 0; i < r.count; i++) {
		struct told told;
		size_t at = 0;

		CHECK(r.list[i].value_len == sizeof(told));
		memcpy(&told, r.list[i].value, sizeof(told));
		CHECK(r.list[i].key[7] == (uint8_t)++ * last);
		while (at < *count && !msn_uid_equal(alive[at].uid, told.uid))
			at++;
		CHECK((told.what == SAVED) == (at == *count));
		if (told.what == SAVED)
			alive[(*count)++] =
				(struct expected){ told.uid, told.seed, 0 };
		else
			alive[at] = alive[--*count];
		CHECK(*count < 4 * KEEP);
	}
	more = r.more;
	msn_records_deinit(&r);
	return more;
}

/* The events, from the first on, say which snapshots there are. */
static void check_events(struct msn_store *store)
{
	static struct expected alive[4 * KEEP];
	struct msn_snapshot_info *list;
	uint64_t last = 0, answers;
	size_t count = 0, listed;

	while (read_events(store, &last, alive, &count))
		;
	CHECK(msn_store_list(store, &list, &listed, NULL) == 0);
	CHECK(listed == count);
	CHECK(msn_store_record_count(store, MSN_RECORD_REQUEST, &answers,
				     NULL) == 0);
	CHECK(answers == count);
	for (size_t i = 0; i < count; i++)
		check_companions(store, alive[i].uid, alive[i].seed);
	CHECK(msn_store_check(store, NULL) == 0);
	free(list);
}

/* Everything acknowledged is there, and nothing else is listed. */
static void check_store(struct world *w, bool whole)
{
	struct msn_snapshot_info *list;
	struct msn_failure why = { 0 };
	struct msn_store *store;
	size_t listed;
	int rc = msn_store_open(
		&store, &(struct msn_store_opts){ .path = w->path }, &why);

	if (rc)
		printf("%s\n", why.text);
	CHECK(rc == 0);
	check_events(store);
	CHECK(msn_store_list(store, &list, &listed, &why) == 0);
	for (size_t i = 0; i < listed; i++) {
		struct expected *x = find(w, list[i].uid);

		/* Published, but killed before it could say so: also fine. */
		if (!x)
			CHECK(remove_it(store, list[i].uid, &why) == 0);
	}
	free(list);
	for (size_t i = 0; i < w->count; i++) {
		if (w->list[i].removing && !is_listed(store, w->list[i].uid)) {
			w->list[i--] = w->list[--w->count];
			continue;
		}
		if (whole || i + 2 >= w->count)
			check_whole(store, &w->list[i]);
	}
	/* The next child starts from nothing of its own. */
	while (w->count > KEEP) {
		CHECK(remove_it(store, w->list[0].uid, &why) == 0);
		memmove(w->list, w->list + 1, --w->count * sizeof(w->list[0]));
	}
	msn_store_close(store);
}

/* Reads events until the child is gone, or @most of them. */
static void hear(struct world *w, int fd, unsigned most)
{
	struct event e;

	while (most-- > 0 && read(fd, &e, sizeof(e)) == sizeof(e))
		note(w, &e);
}

/*
 * Runs a child until it has got somewhere, whatever time that takes here, and
 * kills it a random while later.
 */
static void run_and_kill(struct world *w)
{
	unsigned events = (unsigned)(msn_rand_next(&w->rand) % 4);
	struct timespec t = { 0, (long)(msn_rand_next(&w->rand) % 25000000) };
	uint64_t rand = msn_rand_next(&w->rand);
	int ends[2], status;
	pid_t pid;

	fflush(stdout);
	CHECK(pipe(ends) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		child(w->path, ends[1], rand);
	close(ends[1]);
	hear(w, ends[0], events);
	nanosleep(&t, NULL);
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status)); /* it did not give up by itself */
	hear(w, ends[0], UINT32_MAX);
	close(ends[0]);
}

static void every_acknowledged_snapshot_survives_being_killed(void)
{
	static struct world w;
	char command[128];

	w = (struct world){ .rand = check_seed() };
	strcpy(w.path, "/tmp/memsnap-crash-XXXXXX");
	CHECK(mkdtemp(w.path));
	for (int i = 0; i < KILLS; i++) {
		run_and_kill(&w);
		if (w.acknowledged > 0)
			check_store(&w, i % 10 == 9 || i == KILLS - 1);
	}
	printf("%u snapshots acknowledged, %d kills\n", w.acknowledged, KILLS);
	EXPECT(w.acknowledged > KILLS / 4);
	snprintf(command, sizeof(command), "rm -rf %s", w.path);
	CHECK(system(command) == 0);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(every_acknowledged_snapshot_survives_being_killed),
		{}
	};

	return check_main(argc, argv, "crash", tests);
}
