/*
 * Blobs: what a stopped process's registers become.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "capture/blobs.h"
#include "memsnap/v1/capture.pb-c.h"
#include "support/check.h"

#include <elf.h>
#include <signal.h>
#include <string.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static struct msn_target start(void)
{
	struct msn_failure why = { 0 };
	struct msn_target t;
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	CHECK(msn_target_open(&t, pid, &why) == 0);
	CHECK(msn_target_stop(&t, &why) == 0);
	return t;
}

static void end(struct msn_target *t)
{
	pid_t pid = t->pid;

	msn_target_close(t);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static const struct msn_save_blob *find(const struct msn_capture_blobs *b,
					const char *name)
{
	for (size_t i = 0; i < b->count; i++)
		if (strcmp(b->list[i].name, name) == 0)
			return &b->list[i];
	CHECK(false);
	return NULL;
}

static void registers_come_out_as_they_went_in(void)
{
	struct msn_target t = start();
	const struct msn_traced_thread *th;
	struct msn_capture_blobs b;
	const struct msn_save_blob *blob;
	Memsnap__V1__CapturedThreads *m;
	size_t count;

	th = msn_tracee_threads(t.tracee, &count);
	CHECK(msn_capture_blobs_make(&b, &t) == 0);
	blob = find(&b, "elf/threads");
	m = memsnap__v1__captured_threads__unpack(NULL, blob->len, blob->data);
	CHECK(m && m->n_threads == 1 && count == 1);
	EXPECT(m->threads[0]->tid == t.pid);
	CHECK(m->threads[0]->n_regsets == th->regset_count);
	for (size_t i = 0; i < th->regset_count; i++) {
		const Memsnap__V1__CapturedRegset *r =
			m->threads[0]->regsets[i];

		EXPECT(r->note_type == th->regsets[i].note_type);
		CHECK(r->data.len == th->regsets[i].len);
		EXPECT(memcmp(r->data.data, th->regsets[i].data, r->data.len) ==
		       0);
	}
	memsnap__v1__captured_threads__free_unpacked(m, NULL);
	msn_capture_blobs_deinit(&b);
	end(&t);
}

static void the_process_is_described(void)
{
	struct msn_target t = start();
	struct msn_capture_blobs b;
	const struct msn_save_blob *blob;
	Memsnap__V1__CapturedProcess *m;
	Elf64_auxv_t entry;

	CHECK(msn_capture_blobs_make(&b, &t) == 0);
	blob = find(&b, "elf/process");
	m = memsnap__v1__captured_process__unpack(NULL, blob->len, blob->data);
	CHECK(m);
	EXPECT(m->pid == t.pid && m->ppid == getpid());
	EXPECT(m->uid == getuid() && m->gid == getgid());
	EXPECT(m->comm.len == strlen("test_blobs"));
	EXPECT(m->exe.len > 0 && m->exe.data[0] == '/');
	EXPECT(m->cwd.len > 0 && m->cwd.data[0] == '/');
	memsnap__v1__captured_process__free_unpacked(m, NULL);
	blob = find(&b, "elf/auxv");
	CHECK(blob->len >= sizeof(entry) && blob->len % sizeof(entry) == 0);
	memcpy(&entry, (const char *)blob->data + blob->len - sizeof(entry),
	       sizeof(entry));
	EXPECT(entry.a_type == AT_NULL);
	msn_capture_blobs_deinit(&b);
	end(&t);
}

static struct msn_target fault_target;

static void *same_target(void)
{
	return &fault_target;
}

static int make_body(void *state)
{
	struct msn_capture_blobs b;
	int rc = msn_capture_blobs_make(&b, state);

	if (rc == 0)
		msn_capture_blobs_deinit(&b);
	return rc;
}

static void make_verify(void *state, int rc, const char *name)
{
	(void)state;
	EXPECT(name ? rc < 0 : rc == 0);
}

static void running_out_of_memory_leaks_nothing(void)
{
	fault_target = start();
	EXPECT(check_every_fault(same_target, make_body, make_verify) > 8);
	end(&fault_target);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(registers_come_out_as_they_went_in),
		CHECK_TEST(the_process_is_described),
		CHECK_TEST(running_out_of_memory_leaks_nothing),
		{}
	};

	return check_main(argc, argv, "blobs", tests);
}
