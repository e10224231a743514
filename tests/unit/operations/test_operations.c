/*
 * Operations: their life, who is told, what is written down.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "operations/operations.h"
#include "support/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALICE "uid:1000"
#define BOB "uid:1001"

struct fixture {
	struct msn_loop *loop;
	struct msn_workers *workers;
	struct msn_operations *operations;
	unsigned kept, kept_done, forgotten; /* under lock */
	unsigned ended, wanted; /* the loop runs until so many have ended */
	struct msn_operation_view last;
	pthread_mutex_t lock;
};

static void keep(void *ctx, const struct msn_operation_view *view)
{
	struct fixture *f = ctx;

	pthread_mutex_lock(&f->lock);
	f->kept++;
	f->kept_done += view->done;
	f->last = *view;
	pthread_mutex_unlock(&f->lock);
}

static void forget(void *ctx, const char *name)
{
	struct fixture *f = ctx;

	(void)name;
	pthread_mutex_lock(&f->lock);
	f->forgotten++;
	pthread_mutex_unlock(&f->lock);
}

static void ended(void *ctx, struct msn_operation *op)
{
	struct fixture *f = ctx;

	(void)op;
	if (++f->ended == f->wanted)
		msn_loop_exit(f->loop, 0);
}

static void begin(struct fixture *f)
{
	*f = (struct fixture){ .lock = PTHREAD_MUTEX_INITIALIZER, .wanted = 1 };
	CHECK(msn_loop_new(&f->loop) == 0);
	CHECK(msn_workers_new(&f->workers, &(struct msn_workers_opts){
						   .name = "test",
						   .threads_max = 2,
						   .queue_max = 8,
						   .idle_ms = 1000,
					   }) == 0);
	CHECK(msn_operations_new(&f->operations,
				 &(struct msn_operations_opts){
					 .loop = f->loop,
					 .workers = f->workers,
					 .running_max = 4,
					 .running_per_owner_max = 2,
					 .kept_max = 2,
					 .keep = keep,
					 .forget = forget,
					 .ended = ended,
					 .ctx = f,
				 }) == 0);
}

static void end(struct fixture *f)
{
	msn_workers_free(f->workers);
	msn_loop_free(f->loop);
	msn_operations_free(f->operations);
}

/* ---- Work that waits to be let go ---------------------------------------- */

struct job {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool started, go, released;
	int rc;
	int told; /* what progress said, after it was let go */
};

static void job_init(struct job *j, bool go)
{
	*j = (struct job){ .lock = PTHREAD_MUTEX_INITIALIZER,
			   .changed = PTHREAD_COND_INITIALIZER,
			   .go = go };
}

static void job_set(struct job *j, bool *what)
{
	pthread_mutex_lock(&j->lock);
	*what = true;
	pthread_cond_broadcast(&j->changed);
	pthread_mutex_unlock(&j->lock);
}

static void job_wait(struct job *j, const bool *what)
{
	pthread_mutex_lock(&j->lock);
	while (!*what)
		pthread_cond_wait(&j->changed, &j->lock);
	pthread_mutex_unlock(&j->lock);
}

static int run(struct msn_operation *op, void *ctx, struct msn_status *why)
{
	struct job *j = ctx;

	job_set(j, &j->started);
	job_wait(j, &j->go);
	j->told = msn_operation_progress(op, MSN_PHASE_WRITING, 5, 10);
	if (j->told)
		return j->told;
	if (j->rc == -EDOM) {
		msn_status_set(why, MSN_CODE_DATA_LOSS, "CORRUPT_PAGE",
			       "page 7 is damaged");
		msn_status_note(why, "address", "0x7000");
	}
	snprintf(msn_operation_result(op)->space, 64, "made");
	return j->rc;
}

static void release(void *ctx)
{
	struct job *j = ctx;

	job_set(j, &j->released);
}

static int start(struct fixture *f, struct job *j, const char *owner,
		 struct msn_operation **op, struct msn_status *why)
{
	return msn_operation_start(f->operations,
				   &(struct msn_operation_start){
					   .kind = MSN_OPERATION_RESTORE,
					   .target = "before",
					   .owner = owner,
					   .run = run,
					   .release = release,
					   .ctx = j,
				   },
				   op, why);
}

/* ---- Tests --------------------------------------------------------------- */

static void work_is_done_and_leaves_a_result(void)
{
	struct msn_operation_view v;
	struct msn_status why = { 0 };
	struct msn_operation *op;
	struct fixture f;
	struct job j;

	begin(&f);
	job_init(&j, true);
	CHECK(start(&f, &j, ALICE, &op, &why) == 0);
	CHECK(msn_loop_run(f.loop) == 0);
	msn_operation_look(op, &v);
	EXPECT(v.done && v.phase == MSN_PHASE_DONE && !v.status.code);
	EXPECT(!strcmp(v.result.space, "made") && !strcmp(v.target, "before"));
	EXPECT(v.bytes_done == 5 && v.bytes_total == 10 && v.ended_ns);
	EXPECT(f.ended == 1);
	msn_operation_unref(op);
	end(&f);
	EXPECT(j.released);
}

static void what_runs_and_what_ended_is_written_down_first(void)
{
	struct msn_operation_view v;
	struct msn_status why = { 0 };
	struct msn_operation *op;
	struct fixture f;
	struct job j;

	begin(&f);
	job_init(&j, false);
	CHECK(start(&f, &j, ALICE, &op, &why) == 0);
	job_wait(&j, &j.started);
	msn_operation_look(op, &v);
	EXPECT(!v.done && v.phase != MSN_PHASE_QUEUED && !v.result.space[0]);
	pthread_mutex_lock(&f.lock);
	EXPECT(f.kept == 1 && !f.kept_done);
	pthread_mutex_unlock(&f.lock);
	job_set(&j, &j.go);
	CHECK(msn_loop_run(f.loop) == 0);
	EXPECT(f.kept == 2 && f.kept_done == 1 && f.last.done);
	EXPECT(!strcmp(f.last.result.space, "made"));
	msn_operation_unref(op);
	end(&f);
}

static void a_failure_keeps_what_it_said(void)
{
	struct msn_operation_view v;
	struct msn_status why = { 0 };
	struct msn_operation *op;
	struct fixture f;
	struct job j;

	begin(&f);
	job_init(&j, true);
	j.rc = -EDOM;
	CHECK(start(&f, &j, ALICE, &op, &why) == 0);
	CHECK(msn_loop_run(f.loop) == 0);
	msn_operation_look(op, &v);
	EXPECT(v.status.code == MSN_CODE_DATA_LOSS);
	EXPECT(!strcmp(msn_status_find(&v.status, "address"), "0x7000"));
	msn_operation_unref(op);
	end(&f);
}

static void one_that_is_cancelled_fails_so(void)
{
	struct msn_operation_view v;
	struct msn_status why = { 0 };
	struct msn_operation *op;
	struct fixture f;
	struct job j;

	begin(&f);
	job_init(&j, false);
	CHECK(start(&f, &j, ALICE, &op, &why) == 0);
	job_wait(&j, &j.started);
	msn_operation_cancel(op);
	job_set(&j, &j.go);
	CHECK(msn_loop_run(f.loop) == 0);
	msn_operation_look(op, &v);
	EXPECT(v.done && v.status.code == MSN_CODE_CANCELLED);
	EXPECT(j.told == -ECANCELED);
	msn_operation_cancel(op);
	msn_operation_look(op, &v);
	EXPECT(v.status.code == MSN_CODE_CANCELLED);
	msn_operation_unref(op);
	end(&f);
}

static void an_owner_has_so_many_at_once(void)
{
	struct msn_operation *op[3];
	struct msn_status why = { 0 };
	struct fixture f;
	struct job j[3];

	begin(&f);
	for (unsigned i = 0; i < 3; i++)
		job_init(&j[i], false);
	CHECK(start(&f, &j[0], ALICE, &op[0], &why) == 0);
	CHECK(start(&f, &j[1], ALICE, &op[1], &why) == 0);
	EXPECT(start(&f, &j[2], ALICE, &op[2], &why) == -EDQUOT);
	EXPECT(why.code == MSN_CODE_RESOURCE_EXHAUSTED &&
	       !strcmp(why.reason, "OPERATION_QUOTA") && why.retry_ms);
	EXPECT(j[2].released);
	EXPECT(msn_operations_running(f.operations, ALICE) == 2);
	job_init(&j[2], false);
	CHECK(start(&f, &j[2], BOB, &op[2], &why) == 0);
	for (unsigned i = 0; i < 3; i++) {
		job_set(&j[i], &j[i].go);
		msn_operation_unref(op[i]);
	}
	end(&f);
	EXPECT(j[0].released && j[1].released && j[2].released);
}

static void only_the_owner_finds_it(void)
{
	struct msn_operation *op, *got;
	struct msn_operation_view v;
	struct msn_status why = { 0 };
	struct fixture f;
	struct job j;

	begin(&f);
	job_init(&j, true);
	CHECK(start(&f, &j, ALICE, &op, &why) == 0);
	CHECK(msn_loop_run(f.loop) == 0);
	msn_operation_look(op, &v);
	CHECK(msn_operations_find(f.operations, ALICE, v.name, &got, &why) ==
	      0);
	EXPECT(got == op);
	msn_operation_unref(got);
	EXPECT(msn_operations_find(f.operations, BOB, v.name, &got, &why) ==
	       -ENOENT);
	EXPECT(why.code == MSN_CODE_NOT_FOUND);
	msn_operation_unref(op);
	end(&f);
}

static void the_oldest_that_ended_go_first(void)
{
	struct msn_operation **list, *op[4];
	struct msn_operation_view newest, v;
	struct msn_status why = { 0 };
	struct fixture f;
	struct job j[4];
	size_t n;

	begin(&f);
	f.wanted = 4;
	for (unsigned i = 0; i < 4; i++) {
		job_init(&j[i], true);
		CHECK(start(&f, &j[i], i % 2 ? BOB : ALICE, &op[i], &why) == 0);
	}
	CHECK(msn_loop_run(f.loop) == 0);
	EXPECT(f.forgotten == 2);
	msn_operation_look(op[3], &newest);
	CHECK(msn_operations_list(f.operations, BOB, "", 10, &list, &n) == 0);
	CHECK(n == 1);
	msn_operation_look(list[0], &v);
	EXPECT(!strcmp(v.name, newest.name));
	msn_operation_unref(list[0]);
	free(list);
	CHECK(msn_operations_list(f.operations, BOB, newest.name, 10, &list,
				  &n) == 0);
	EXPECT(n == 0);
	free(list);
	for (unsigned i = 0; i < 4; i++)
		msn_operation_unref(op[i]);
	end(&f);
}

static void one_from_before_a_crash_is_listed_as_it_was_left(void)
{
	struct msn_operation_view v = { .kind = MSN_OPERATION_SAVE,
					.name = "0123" };
	struct msn_operation *op;
	struct msn_status why = { 0 };
	struct fixture f;

	begin(&f);
	snprintf(v.owner, sizeof(v.owner), ALICE);
	msn_status_set(&v.status, MSN_CODE_UNAVAILABLE, "SERVICE_RESTARTED",
		       "the service ended before the operation did");
	CHECK(msn_operations_adopt(f.operations, &v) == 0);
	CHECK(msn_operations_find(f.operations, ALICE, "0123", &op, &why) == 0);
	msn_operation_look(op, &v);
	EXPECT(v.done && !strcmp(v.status.reason, "SERVICE_RESTARTED"));
	msn_operation_unref(op);
	end(&f);
}

struct watcher {
	struct msn_operation_watch watch;
	unsigned told;
	bool done;
};

static void on_told(struct msn_operation_watch *watch)
{
	struct watcher *w = msn_container_of(watch, struct watcher, watch);
	struct msn_operation_view v;

	msn_operation_look(watch->op, &v);
	w->told++;
	w->done = v.done;
	if (v.done)
		msn_operation_unwatch(watch);
}

static void watches_hear_of_the_end(void)
{
	struct watcher w[2] = { { .watch.fn = on_told },
				{ .watch.fn = on_told } };
	struct msn_operation *op;
	struct msn_status why = { 0 };
	struct fixture f;
	struct job j;

	begin(&f);
	job_init(&j, false);
	CHECK(start(&f, &j, ALICE, &op, &why) == 0);
	msn_operation_watch(op, &w[0].watch);
	msn_operation_watch(op, &w[1].watch);
	job_set(&j, &j.go);
	CHECK(msn_loop_run(f.loop) == 0);
	EXPECT(w[0].done && w[1].done && w[0].told >= 1);
	EXPECT(!w[0].watch.op);
	msn_operation_unref(op);
	end(&f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(work_is_done_and_leaves_a_result),
		CHECK_TEST(what_runs_and_what_ended_is_written_down_first),
		CHECK_TEST(a_failure_keeps_what_it_said),
		CHECK_TEST(one_that_is_cancelled_fails_so),
		CHECK_TEST(an_owner_has_so_many_at_once),
		CHECK_TEST(only_the_owner_finds_it),
		CHECK_TEST(the_oldest_that_ended_go_first),
		CHECK_TEST(one_from_before_a_crash_is_listed_as_it_was_left),
		CHECK_TEST(watches_hear_of_the_end),
		{}
	};

	return check_main(argc, argv, "operations", tests);
}
