/*
 * A Lua state in a space: made, run, saved, restored.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sandbox.h"

#include <elf.h>
#include <lauxlib.h>
#include <link.h>
#include <lualib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define BLOB "lua-sandbox"
#define BUILD_ID_MAX 20

/* What a restore must know beside the memory. */
struct root {
	uint64_t heap;	/* address of the struct heap */
	uint64_t state; /* address of the lua_State */
	uint8_t build_id[BUILD_ID_MAX];
};

void die(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("lua-sandbox: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void must(int rc, const struct memsnap_error *err)
{
	if (rc)
		die("%s", err->text);
}

double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double mib(uint64_t bytes)
{
	return (double)bytes / (1 << 20);
}

/* Takes the build-id out of the notes of the first object: this program. */
static int find_build_id(struct dl_phdr_info *info, size_t size, void *ctx)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const char *at = (const char *)(info->dlpi_addr + ph->p_vaddr);
		const char *end = at + ph->p_memsz;

		while (ph->p_type == PT_NOTE && at + sizeof(ElfW(Nhdr)) < end) {
			const ElfW(Nhdr) *note = (const void *)at;
			const char *name = at + sizeof(*note);
			const char *desc = name + ((note->n_namesz + 3) & ~3U);

			if (note->n_type == NT_GNU_BUILD_ID &&
			    note->n_descsz == BUILD_ID_MAX &&
			    !memcmp(name, "GNU", 4))
				memcpy(ctx, desc, BUILD_ID_MAX);
			at = desc + ((note->n_descsz + 3) & ~3U);
		}
	}
	return 1;
}

static void own_build_id(uint8_t *out)
{
	static const uint8_t none[BUILD_ID_MAX];

	memset(out, 0, BUILD_ID_MAX);
	dl_iterate_phdr(find_build_id, out);
	if (!memcmp(out, none, sizeof(none)))
		die("this program has no build-id; link it with "
		    "-Wl,--build-id=sha1");
}

struct memsnap_store *sandbox_store(const char *path, uint32_t flags)
{
	struct memsnap_store_opts opts = { .size = sizeof(opts),
					   .path = path,
					   .flags = flags };
	struct memsnap_store *store;
	struct memsnap_error err;

	must(memsnap_store_open(&store, &opts, &err), &err);
	return store;
}

/* The libraries that keep no pointer to anything outside. */
static void open_libraries(lua_State *L)
{
	static const luaL_Reg libraries[] = {
		{ LUA_GNAME, luaopen_base },
		{ LUA_COLIBNAME, luaopen_coroutine },
		{ LUA_TABLIBNAME, luaopen_table },
		{ LUA_STRLIBNAME, luaopen_string },
		{ LUA_MATHLIBNAME, luaopen_math },
		{ LUA_UTF8LIBNAME, luaopen_utf8 },
	};

	for (size_t i = 0; i < sizeof(libraries) / sizeof(*libraries); i++) {
		luaL_requiref(L, libraries[i].name, libraries[i].func, 1);
		lua_pop(L, 1);
	}
	/* A sandbox opens no files. */
	lua_pushnil(L);
	lua_setglobal(L, "dofile");
	lua_pushnil(L);
	lua_setglobal(L, "loadfile");
}

static int open_protected(lua_State *L)
{
	open_libraries(L);
	return 0;
}

void sandbox_make(struct sandbox *s)
{
	struct memsnap_space_opts region = {
		.size = sizeof(region),
		.base = (void *)(uintptr_t)SANDBOX_BASE,
		.length = SANDBOX_BYTES,
	};
	struct memsnap_map_opts memory = {
		.size = sizeof(memory),
		.addr = region.base,
		.length = region.length,
		.prot = PROT_READ | PROT_WRITE,
		.name = "lua heap",
	};
	struct memsnap_error err;
	void *base;

	must(memsnap_space_create(&s->space, &region, &err), &err);
	must(memsnap_space_map(s->space, &memory, &base, &err), &err);
	s->heap = heap_make(base, SANDBOX_BYTES);
	s->L = lua_newstate(heap_alloc, s->heap);
	if (!s->L)
		die("no memory for a Lua state");
	lua_pushcfunction(s->L, open_protected);
	if (lua_pcall(s->L, 0, 0, 0))
		die("%s", lua_tostring(s->L, -1));
}

/* Checks that the snapshot is one of this very program. */
static void read_root(struct memsnap_image *image, struct root *root)
{
	uint8_t own[BUILD_ID_MAX];
	struct memsnap_error err;
	const void *data;
	size_t len;

	must(memsnap_image_blob(image, BLOB, &data, &len, &err), &err);
	if (len != sizeof(*root))
		die("the snapshot was made by another version of lua-sandbox");
	memcpy(root, data, len);
	own_build_id(own);
	if (memcmp(root->build_id, own, sizeof(own)))
		die("the snapshot was made by another build of lua-sandbox: "
		    "its functions are at other addresses");
}

void sandbox_restore(struct sandbox *s, struct memsnap_image *image)
{
	struct memsnap_error err;
	struct root root;

	read_root(image, &root);
	must(memsnap_clone(image, NULL, &s->space, &err), &err);
	s->heap = heap_at((void *)(uintptr_t)root.heap);
	s->L = (lua_State *)(uintptr_t)root.state;
	if (!s->heap)
		die("the snapshot has no heap at 0x%llx",
		    (unsigned long long)root.heap);
}

/* The Lua state is not closed: its memory goes away as a whole. */
void sandbox_destroy(struct sandbox *s)
{
	memsnap_space_destroy(s->space);
	memset(s, 0, sizeof(*s));
}

static char *read_script(const char *path, size_t *len)
{
	FILE *f = fopen(path, "re");
	char *text;
	long size;

	if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0)
		die("cannot read %s", path);
	rewind(f);
	text = malloc((size_t)size + 1);
	if (!text || fread(text, 1, (size_t)size, f) != (size_t)size)
		die("cannot read %s", path);
	fclose(f);
	*len = (size_t)size;
	return text;
}

static int traceback(lua_State *L)
{
	luaL_traceback(L, L, lua_tostring(L, 1), 1);
	return 1;
}

int sandbox_run(struct sandbox *s, const char *script, const char *what,
		lua_Integer id)
{
	const char *slash = strrchr(script, '/');
	lua_State *L = s->L;
	char name[64];
	char *text;
	size_t len;
	int rc;

	text = read_script(script, &len);
	snprintf(name, sizeof(name), "@%s", slash ? slash + 1 : script);
	lua_pushcfunction(L, traceback);
	rc = luaL_loadbufferx(L, text, len, name, "t");
	free(text);
	if (!rc) {
		lua_pushstring(L, what);
		lua_pushinteger(L, id);
		rc = lua_pcall(L, 2, 0, -4);
	}
	if (rc)
		fprintf(stderr, "lua-sandbox: %s\n", lua_tostring(L, -1));
	lua_settop(L, 0);
	fflush(stdout);
	return rc ? -1 : 0;
}

void sandbox_save(struct sandbox *s, struct memsnap_store *store,
		  const char *name)
{
	struct root root = { .heap = (uintptr_t)s->heap,
			     .state = (uintptr_t)s->L };
	struct memsnap_blob blob = { BLOB, &root, sizeof(root) };
	struct memsnap_save_opts opts = { .size = sizeof(opts),
					  .name = name,
					  .blobs = &blob,
					  .blob_count = 1 };
	struct memsnap_stats stats = { .size = sizeof(stats) };
	char uid_text[MEMSNAP_UID_TEXT];
	struct memsnap_error err;
	struct memsnap_uid uid;
	double start = seconds();

	own_build_id(root.build_id);
	must(memsnap_save(s->space, store, &opts, &uid, &stats, &err), &err);
	memsnap_uid_format(&uid, uid_text);
	printf("saved %s (%.12s) in %.0f ms\n"
	       "  memory    %10.2f MiB\n"
	       "  stored    %10.2f MiB\n"
	       "  inherited %10.2f MiB\n",
	       name, uid_text, (seconds() - start) * 1e3,
	       mib(stats.private_bytes), mib(stats.stored_bytes),
	       mib(stats.inherited_bytes));
}

/* FNV-1a over words: any changed byte changes it. */
uint64_t sandbox_checksum(const struct sandbox *s)
{
	const uint64_t *word = (const uint64_t *)s->heap;
	size_t count = heap_used(s->heap) / sizeof(*word);
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < count; i++)
		sum = (sum ^ word[i]) * UINT64_C(0x100000001b3);
	return sum;
}
