/*
 * The clones command: one image, many processes, each with its own Lua.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The image is opened once, before forking, and every page read and verified;
 * then each child clones it, which costs a few mappings, and changes its copy.
 * All wait for each other with their changes in place; only then does each look
 * at what it has: its own change, and nobody else's.  When all have looked,
 * and all are still alive, their memory is measured.
 */
#include "sandbox.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a child says when it comes to a meeting. */
struct word {
	double clone_seconds;
	bool good; /* so far */
};

/* Meetings: all have changed their copies; all have looked at them. */
#define MEETINGS 2

struct crowd {
	struct memsnap_image *image;
	const char *script;
	unsigned count;
	pid_t *pids;
	int words[2];	     /* children say that they are there */
	int go[MEETINGS][2]; /* closed by the parent: all are there */
};

static void meet(struct crowd *c, int meeting, const struct word *word)
{
	char end;

	if (write(c->words[1], word, sizeof(*word)) != sizeof(*word))
		_exit(1);
	while (read(c->go[meeting][0], &end, 1) < 0 && errno == EINTR)
		;
}

/* A child's life.  Never returns. */
__attribute__((noreturn)) static void clone_main(struct crowd *c, unsigned id)
{
	struct word word;
	struct sandbox s;

	for (int i = 0; i < MEETINGS; i++)
		close(c->go[i][1]);
	word.clone_seconds = seconds();
	sandbox_restore(&s, c->image);
	word.clone_seconds = seconds() - word.clone_seconds;
	word.good = !sandbox_run(&s, c->script, "change", id);
	meet(c, 0, &word);
	if (sandbox_run(&s, c->script, "verify", id))
		word.good = false;
	meet(c, 1, &word);
	sandbox_destroy(&s);
	memsnap_image_close(c->image);
	fflush(stdout);
	_exit(word.good ? 0 : 1);
}

static void start(struct crowd *c)
{
	fflush(stdout);
	for (unsigned i = 0; i < c->count; i++) {
		c->pids[i] = fork();
		if (c->pids[i] < 0)
			die("cannot fork clone %u: %s", i + 1, strerror(errno));
		if (!c->pids[i])
			clone_main(c, i + 1);
	}
	close(c->words[1]);
}

/* Waits until every clone is there; its mean time is in @clone_seconds. */
static void gather(struct crowd *c, double *clone_seconds)
{
	struct pollfd p = { .fd = c->words[0], .events = POLLIN };
	struct word word;
	unsigned n = 0;

	*clone_seconds = 0;
	while (n < c->count) {
		int rc = poll(&p, 1, 60000);

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0 ||
		    read(c->words[0], &word, sizeof(word)) != sizeof(word))
			die("only %u of %u clones are there", n, c->count);
		*clone_seconds += word.clone_seconds / c->count;
		n++;
	}
}

/* A process's share of the pages it maps, in bytes. */
static uint64_t pss_of(pid_t pid)
{
	unsigned long long kib = 0;
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "re");
	if (!f)
		die("cannot read %s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %llu kB", &kib) == 1)
			break;
	fclose(f);
	return kib << 10;
}

/* Waits for the ends; returns how many did well. */
static unsigned count_good(struct crowd *c)
{
	unsigned good = 0;

	for (unsigned i = 0; i < c->count; i++) {
		int status;

		while (waitpid(c->pids[i], &status, 0) < 0 && errno == EINTR)
			;
		if (WIFEXITED(status) && !WEXITSTATUS(status))
			good++;
		else
			fprintf(stderr, "lua-sandbox: clone %u failed\n",
				i + 1);
	}
	return good;
}

static struct memsnap_image *open_image(struct memsnap_store *store,
					const char *ref)
{
	struct memsnap_open_opts eager = { .size = sizeof(eager),
					   .flags = MEMSNAP_OPEN_EAGER };
	struct memsnap_image *image;
	struct memsnap_error err;

	must(memsnap_image_open(&image, store, ref, &eager, &err), &err);
	return image;
}

static uint64_t checksum_of(struct memsnap_image *image)
{
	struct sandbox s;
	uint64_t sum;

	sandbox_restore(&s, image);
	sum = sandbox_checksum(&s);
	sandbox_destroy(&s);
	return sum;
}

static uint64_t image_bytes(struct memsnap_store *store, const char *ref)
{
	struct memsnap_snapshot_info info = { .size = sizeof(info) };
	struct memsnap_error err;

	must(memsnap_store_info(store, ref, &info, &err), &err);
	return info.stats.private_bytes;
}

/* Runs the crowd and prints what it cost; true when every clone did well. */
static bool run_crowd(struct crowd *c, uint64_t image_size)
{
	double clone_seconds;
	uint64_t pss = 0;
	unsigned good;

	if (pipe(c->words) || pipe(c->go[0]) || pipe(c->go[1]))
		die("cannot make a pipe: %s", strerror(errno));
	start(c);
	gather(c, &clone_seconds);
	close(c->go[0][1]);
	gather(c, &clone_seconds);
	for (unsigned i = 0; i < c->count; i++)
		pss += pss_of(c->pids[i]);
	close(c->go[1][1]);
	good = count_good(c);
	close(c->words[0]);
	close(c->go[0][0]);
	close(c->go[1][0]);
	printf("%u of %u clones saw their own change and nobody else's\n"
	       "  one image  %10.2f MiB\n"
	       "  all clones %10.2f MiB (sum of Pss while all were alive; "
	       "%.2f images)\n"
	       "  one clone  %10.2f MiB, made in %.2f ms\n",
	       good, c->count, mib(image_size), mib(pss),
	       (double)pss / (double)image_size, mib(pss) / c->count,
	       clone_seconds * 1e3);
	return good == c->count;
}

int sandbox_clones(const char *path, const char *ref, const char *script,
		   unsigned count)
{
	struct memsnap_store *store = sandbox_store(path, 0);
	struct crowd c = { .script = script, .count = count };
	uint64_t before, after;
	bool good;

	c.image = open_image(store, ref);
	before = checksum_of(c.image);
	c.pids = calloc(count, sizeof(*c.pids));
	if (!c.pids)
		die("no memory");
	good = run_crowd(&c, image_bytes(store, ref));
	free(c.pids);
	memsnap_image_close(c.image);

	c.image = open_image(store, ref);
	after = checksum_of(c.image);
	memsnap_image_close(c.image);
	memsnap_store_close(store);
	printf("snapshot %s: checksum %016llx before, %016llx after\n",
	       before == after ? "unchanged" : "CHANGED",
	       (unsigned long long)before, (unsigned long long)after);
	return good && before == after ? 0 : 1;
}
