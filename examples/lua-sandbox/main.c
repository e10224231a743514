/*
 * lua-sandbox: a Lua program that outlives its process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: lua-sandbox build STORE NAME SCRIPT\n"
	"       lua-sandbox resume STORE REF SCRIPT [--save NAME]\n"
	"       lua-sandbox clones STORE REF SCRIPT [-n COUNT]\n";

static int build(const char *path, const char *name, const char *script)
{
	struct memsnap_store *store = sandbox_store(path, MEMSNAP_STORE_CREATE);
	double begin = seconds();
	struct sandbox s;

	sandbox_make(&s);
	if (sandbox_run(&s, script, NULL, 0))
		return 1;
	/* Marking would write to every object, and so undo all sharing. */
	lua_gc(s.L, LUA_GCCOLLECT);
	lua_gc(s.L, LUA_GCSTOP);
	printf("built %.2f MiB of Lua data in %.0f ms\n",
	       mib(heap_live(s.heap)), (seconds() - begin) * 1e3);
	sandbox_save(&s, store, name);
	sandbox_destroy(&s);
	memsnap_store_close(store);
	return 0;
}

static int resume(const char *path, const char *ref, const char *script,
		  const char *name)
{
	struct memsnap_store *store = sandbox_store(path, 0);
	double begin = seconds();
	struct memsnap_image *image;
	struct memsnap_error err;
	struct sandbox s;

	must(memsnap_image_open(&image, store, ref, NULL, &err), &err);
	sandbox_restore(&s, image);
	printf("restored %.2f MiB of Lua data in %.0f ms\n",
	       mib(heap_live(s.heap)), (seconds() - begin) * 1e3);
	if (sandbox_run(&s, script, NULL, 0))
		return 1;
	if (name)
		sandbox_save(&s, store, name);
	sandbox_destroy(&s);
	memsnap_image_close(image);
	memsnap_store_close(store);
	return 0;
}

/* A count from 1 to 10000. */
static unsigned parse_count(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (!*text || *end || n < 1 || n > 10000)
		die("-n %s: not a count from 1 to 10000", text);
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (!strcmp(verb, "build") && argc == 5)
		return build(argv[2], argv[3], argv[4]);
	if (!strcmp(verb, "resume") && argc == 5)
		return resume(argv[2], argv[3], argv[4], NULL);
	if (!strcmp(verb, "resume") && argc == 7 && !strcmp(argv[5], "--save"))
		return resume(argv[2], argv[3], argv[4], argv[6]);
	if (!strcmp(verb, "clones") && argc == 5)
		return sandbox_clones(argv[2], argv[3], argv[4], 100);
	if (!strcmp(verb, "clones") && argc == 7 && !strcmp(argv[5], "-n"))
		return sandbox_clones(argv[2], argv[3], argv[4],
				      parse_count(argv[6]));
	fputs(usage, stderr);
	return 2;
}
