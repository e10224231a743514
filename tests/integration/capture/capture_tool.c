/*
 * Capture tool: capture, export and compare, driven by tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    capture_tool STORE COMMAND... [, COMMAND...]
 *
 *    capture PID NAME     prints pause and bytes read
 *    export REF FILE      writes a core
 *    compare REF PID      prints differences; exit code 1 if there are any
 *    maps REF             prints the mappings of a snapshot as maps does
 *
 * A failure prints its kind and text and ends with code 2.
 */
#include "base/cleanup.h"
#include "capture/capture.h"
#include "corefile/corefile.h"
#include "mm/maps_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct msn_store *store;
static struct msn_failure why;

static int say_failure(void)
{
	fprintf(stderr, "%s: %s\n", msn_failure_kind_name(why.kind), why.text);
	return 2;
}

static int cmd_capture(char **arg)
{
	const struct msn_capture_opts opts = { .pid = atoi(arg[0]),
					       .name = arg[1] };
	struct msn_capture_stats s;
	struct msn_uid uid;

	if (msn_capture(store, &opts, &uid, &s, &why))
		return say_failure();
	printf("captured threads=%" PRIu64 " pause_us=%" PRIu64
	       " read_bytes=%" PRIu64 " private=%" PRIu64 " stored=%" PRIu64
	       " deduped=%" PRIu64 " zero=%" PRIu64 "\n",
	       s.thread_count, s.pause_ns / 1000, s.read_bytes,
	       s.pages.private_pages, s.pages.stored, s.pages.deduped,
	       s.pages.zero);
	return 0;
}

static int load(const char *ref, struct msn_manifest **m)
{
	struct msn_uid uid;

	if (msn_store_find(store, ref, &uid, &why))
		return -1;
	return msn_store_load(store, uid, m, &why);
}

static int cmd_export(char **arg)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	struct msn_corefile_stats s;

	if (load(arg[0], &m))
		return say_failure();
	if (msn_corefile_write(store, m,
			       &(struct msn_corefile_opts){ .path = arg[1] },
			       &s, &why))
		return say_failure();
	printf("exported size=%" PRIu64 " written=%" PRIu64 " segments=%" PRIu64
	       " missing=%" PRIu64 " threads=%" PRIu64 "\n",
	       s.size_bytes, s.written_bytes, s.segment_count,
	       s.missing_mapping_count, s.thread_count);
	return 0;
}

static int print_difference(void *ctx, const struct msn_difference *d)
{
	static const char *const kinds[] = {
		[MSN_DIFFERENCE_BYTES] = "bytes",
		[MSN_DIFFERENCE_MAPPING] = "mapping",
		[MSN_DIFFERENCE_ADDED] = "added",
		[MSN_DIFFERENCE_REMOVED] = "removed",
	};

	(void)ctx;
	printf("%s %" PRIx64 "-%" PRIx64 " %s %s\n", kinds[d->kind],
	       d->addr.start, d->addr.end, d->name, d->what);
	return 0;
}

static int cmd_compare(char **arg)
{
	struct msn_compare_opts opts = { .pid = atoi(arg[1]),
					 .difference = print_difference };
	struct msn_compare_stats s;

	if (msn_store_find(store, arg[0], &opts.uid, &why) ||
	    msn_capture_compare(store, &opts, &s, &why))
		return say_failure();
	printf("compared pages=%" PRIu64 " different=%" PRIu64
	       " mappings=%" PRIu64 " pause_us=%" PRIu64 "\n",
	       s.compared_pages, s.different_pages, s.different_mappings,
	       s.pause_ns / 1000);
	return s.different_pages || s.different_mappings;
}

static int cmd_maps(char **arg)
{
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	static char line[MSN_MAPS_LINE_MAX];

	if (load(arg[0], &m))
		return say_failure();
	for (size_t i = 0; i < m->mapping_count; i++) {
		const struct msn_manifest_mapping *v = &m->mappings[i];
		size_t len = msn_maps_line(
			line, sizeof(line),
			&(struct msn_maps_line){ .start = v->start,
						 .end = v->end,
						 .offset = v->offset,
						 .inode = v->inode,
						 .perms = v->perms,
						 .shared = v->shared,
						 .dev_major = v->dev_major,
						 .dev_minor = v->dev_minor,
						 .name = v->name });

		fwrite(line, 1, len, stdout);
	}
	return 0;
}

static const struct {
	const char *name;
	int args;
	int (*run)(char **arg);
} commands[] = {
	{ "capture", 2, cmd_capture },
	{ "export", 2, cmd_export },
	{ "compare", 2, cmd_compare },
	{ "maps", 1, cmd_maps },
};

/* Runs the command at argv[*i] and moves on to the next. */
static int run(int argc, char **argv, int *i)
{
	for (size_t k = 0; k < MSN_ARRAY_LEN(commands); k++) {
		if (strcmp(argv[*i], commands[k].name) != 0 ||
		    *i + commands[k].args >= argc)
			continue;
		*i += commands[k].args + 2;
		return commands[k].run(&argv[*i - commands[k].args - 1]);
	}
	fprintf(stderr, "what is %s?\n", argv[*i]);
	return 2;
}

int main(int argc, char **argv)
{
	int rc = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3 ||
	    msn_store_open(
		    &store,
		    &(struct msn_store_opts){ .path = argv[1], .create = true },
		    &why))
		return say_failure();
	for (int i = 2; rc == 0 && i < argc;)
		rc = run(argc, argv, &i);
	msn_store_close(store);
	return rc;
}
