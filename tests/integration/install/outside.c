/*
 * A program from outside: knows memsnap by its installed headers only.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Compiled as C and as C++.  Saves a page, restores it, prints it.
 */
#include <memsnap/memsnap.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static int fail(const char *what, const struct memsnap_error *err)
{
	fprintf(stderr, "%s: %s\n", what, err->text);
	return 1;
}

static int save(struct memsnap_store *store, struct memsnap_error *err)
{
	struct memsnap_space_opts region = {};
	struct memsnap_map_opts memory = {};
	struct memsnap_save_opts opts = {};
	struct memsnap_space *space;
	struct memsnap_uid uid;
	void *at;

	region.size = sizeof(region);
	region.base = (void *)0x300000000000;
	region.length = 1 << 20;
	if (memsnap_space_create(&space, &region, err))
		return fail("create", err);
	memory.size = sizeof(memory);
	memory.length = 4096;
	memory.prot = PROT_READ | PROT_WRITE;
	if (memsnap_space_map(space, &memory, &at, err))
		return fail("map", err);
	strcpy((char *)at, "hello from the first life");
	opts.size = sizeof(opts);
	opts.name = "hello";
	if (memsnap_save(space, store, &opts, &uid, NULL, err))
		return fail("save", err);
	memsnap_space_destroy(space);
	return 0;
}

static int restore(struct memsnap_store *store, struct memsnap_error *err)
{
	struct memsnap_image *image;
	struct memsnap_space *space;
	void *base;
	size_t length;

	if (memsnap_image_open(&image, store, "hello", NULL, err))
		return fail("open", err);
	memsnap_image_span(image, &base, &length);
	if (memsnap_clone(image, NULL, &space, err))
		return fail("clone", err);
	puts((const char *)base);
	memsnap_space_destroy(space);
	memsnap_image_close(image);
	return 0;
}

int main(int argc, char **argv)
{
	struct memsnap_store_opts opts = {};
	struct memsnap_store *store;
	struct memsnap_error err;
	int rc;

	if (argc != 2 || strcmp(memsnap_version(), MEMSNAP_VERSION))
		return 2;
	opts.size = sizeof(opts);
	opts.path = argv[1];
	opts.flags = MEMSNAP_STORE_CREATE;
	if (memsnap_store_open(&store, &opts, &err))
		return fail("store", &err);
	rc = save(store, &err);
	if (!rc)
		rc = restore(store, &err);
	memsnap_store_close(store);
	return rc;
}
