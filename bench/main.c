/*
 * memsnap-bench: runs the benches that are named and prints a table or JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"
#include "benches.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name, *help;
	void (*run)(const struct bench_opts *o);
} benches[] = {
	{ "save", "a space to a published snapshot", bench_save },
	{ "restore", "a snapshot to an image", bench_restore },
	{ "clone", "an image to a space in this process", bench_clone },
	{ "capture", "the pause of a captured process", bench_capture },
	{ "hostfile", "buffered reads of a host file", bench_hostfile },
	{ "mm", "calls on a space against system calls", bench_mm },
	{ "mapset", "who maps a file, with 10000 spaces", bench_mapping_set },
	{ "notes", "what metrics and log lines cost", bench_notes },
};

static void usage(FILE *out)
{
	fprintf(out, "usage: memsnap-bench [--dir DIR] [--size MIB] "
		     "[--rounds N] [--json] BENCH...\n");
	for (size_t i = 0; i < MSN_ARRAY_LEN(benches); i++)
		fprintf(out, "  %-8s %s\n", benches[i].name, benches[i].help);
}

static int run_named(const char *name, const struct bench_opts *o)
{
	for (size_t i = 0; i < MSN_ARRAY_LEN(benches); i++) {
		if (strcmp(benches[i].name, name) == 0) {
			benches[i].run(o);
			return 0;
		}
	}
	fprintf(stderr, "memsnap-bench: no bench is called %s\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "size", required_argument, NULL, 's' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct bench_opts o = { .dir = ".",
				.size_bytes = UINT64_C(1) << 30,
				.rounds = 5 };
	int opt, rc = 0;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'd':
			o.dir = optarg;
			break;
		case 's':
			o.size_bytes = strtoull(optarg, NULL, 0) << 20;
			break;
		case 'r':
			o.rounds = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'j':
			o.json = true;
			break;
		default:
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? 0 : 2;
		}
	}
	if (optind == argc || o.rounds < 1 || o.rounds > BENCH_ROUNDS_MAX ||
	    o.size_bytes < (1 << 20)) {
		usage(stderr);
		return 2;
	}
	for (; rc == 0 && optind < argc; optind++)
		rc = run_named(argv[optind], &o);
	return rc ? rc : bench_print(o.json);
}
