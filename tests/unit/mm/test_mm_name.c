/*
 * Names of anonymous memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Few kernels have them (CONFIG_ANON_VMA_NAME), so what is expected is what
 * prctl(2) and mm/madvise.c of Linux say.
 */
#include "mm/mm_calls.h"
#include "unit/mm/shared_object.h"

#include "base/alloc.h"

#include <errno.h>
#include <sys/mman.h>

static int name(struct msn_mm *mm, uint64_t page, uint64_t pages,
		const char *text)
{
	return msn_mm_set_anon_name(mm, AT(page), pages * PAGE, text);
}

/* Pages and names of what is listed, as "10-12[anon:x] 12-14". */
static char *listed(struct msn_mm *mm)
{
	static char out[4096];
	size_t len = 0;
	char *maps;

	CHECK(msn_mm_maps(mm, &maps) == 0);
	out[0] = '\0';
	for (char *line = maps; *line;) {
		unsigned long start, end;
		char *eol = strchr(line, '\n');
		char *at = memchr(line, '[', (size_t)(eol - line));

		CHECK(sscanf(line, "%lx-%lx", &start, &end) == 2);
		len += (size_t)snprintf(out + len, sizeof(out) - len,
					"%s%lu-%lu%.*s", len ? " " : "",
					(unsigned long)((start - BASE) / PAGE),
					(unsigned long)((end - BASE) / PAGE),
					at ? (int)(eol - at) : 0, at ? at : "");
		line = eol + 1;
	}
	free(maps);
	EXPECT(msn_mm_check(mm) == NULL);
	return out;
}

#define LISTED(mm, text) EXPECT(strcmp(listed(mm), text) == 0)

static void a_name_shows_in_the_listing_until_it_is_taken_off(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(10, 4));
		EXPECT(name(f.mm, 11, 2, "a b-c") == 0);
		LISTED(f.mm, "10-11 11-13[anon:a b-c] 13-14");
		EXPECT(name(f.mm, 12, 2, "a b-c") == 0);
		LISTED(f.mm, "10-11 11-14[anon:a b-c]");
		EXPECT(name(f.mm, 10, 4, "") == 0);
		LISTED(f.mm, "10-14[anon:]");
		EXPECT(name(f.mm, 10, 2, NULL) == 0);
		LISTED(f.mm, "10-12 12-14[anon:]");
		EXPECT(name(f.mm, 10, 4, NULL) == 0);
		LISTED(f.mm, "10-14");
		/* It merges with what never had a name. */
		map(f.mm, anon(14, 2));
		LISTED(f.mm, "10-16");
	}
}

static void only_some_characters_and_79_of_them(void)
{
	FOR_BOTH(f, local)
	{
		static const char bad[] = "\\`$[]\n\t\x7f\x80\xff\x1f";
		char text[82];

		map(f.mm, anon(10, 1));
		for (size_t i = 0; bad[i]; i++) {
			snprintf(text, sizeof(text), "a%cb", bad[i]);
			EXPECT(name(f.mm, 10, 1, text) == -EINVAL);
			/* Before anything else is looked at. */
			EXPECT(msn_mm_set_anon_name(f.mm, 1, 1, text) ==
			       -EINVAL);
		}
		memset(text, '~', sizeof(text));
		text[80] = '\0';
		EXPECT(name(f.mm, 10, 1, text) == -EINVAL);
		LISTED(f.mm, "10-11");
		text[79] = '\0';
		EXPECT(name(f.mm, 10, 1, text) == 0);
		EXPECT(strlen(listed(f.mm)) == strlen("10-11[anon:]") + 79);
	}
}

static void ranges_are_as_for_madvise(void)
{
	FOR_BOTH(f, local)
	{
		map(f.mm, anon(10, 2));
		map(f.mm, anon(14, 2));
		EXPECT(msn_mm_set_anon_name(f.mm, AT(10) + 1, PAGE, "x") ==
		       -EINVAL);
		EXPECT(msn_mm_set_anon_name(f.mm, AT(10), UINT64_MAX, "x") ==
		       -EINVAL);
		EXPECT(name(f.mm, 10, UINT64_C(1) << 52, "x") == 0); /* of 0 */
		EXPECT(name(f.mm, 10, 0, "x") == 0);
		LISTED(f.mm, "10-12 14-16");
		/* Holes are told, and the rest is named. */
		EXPECT(name(f.mm, 9, 2, "a") == -ENOMEM);
		EXPECT(name(f.mm, 11, 4, "b") == -ENOMEM);
		EXPECT(name(f.mm, 15, 9, "c") == -ENOMEM);
		EXPECT(name(f.mm, 40, 1, "c") == -ENOMEM);
		LISTED(f.mm, "10-11[anon:a] 11-12[anon:b] 14-15[anon:b] "
			     "15-16[anon:c]");
		EXPECT(msn_mm_set_anon_name(f.mm, AT(14), 1, "d") == 0);
		LISTED(f.mm, "10-11[anon:a] 11-12[anon:b] 14-15[anon:d] "
			     "15-16[anon:c]");
	}
}

static void shared_anonymous_memory_has_another_form(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(10, 4);

		o.private = false;
		o.name_mut = MSN_NAME_MUT_ANON_SHMEM;
		set_shared(&f, &o);
		map(f.mm, o);
		msn_identity_dec_ref(o.mapping_identity);
		EXPECT(name(f.mm, 11, 1, "s") == 0);
		LISTED(f.mm, "10-11 11-12[anon_shmem:s] 12-14");
		EXPECT(name(f.mm, 11, 1, NULL) == 0);
		LISTED(f.mm, "10-14");
	}
}

static void other_memory_cannot_be_named(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(12, 2);

		map(f.mm, anon(10, 2));
		o.name = "[vdso]"; /* made with a name */
		map(f.mm, o);
		o = anon(14, 2);
		o.private = false;
		set_shared(&f, &o); /* a file */
		map(f.mm, o);
		msn_identity_dec_ref(o.mapping_identity);
		EXPECT(name(f.mm, 10, 6, "x") == -EBADF);
		LISTED(f.mm, "10-12[anon:x] 12-14[vdso] 14-16");
		EXPECT(name(f.mm, 14, 1, "x") == -EBADF);
		EXPECT(name(f.mm, 14, 1, NULL) == -EBADF);
	}
}

static int make_object(void *ctx, uint64_t size, struct msn_mappable **obj,
		       struct msn_identity **id)
{
	struct msn_mmap_opts o = { .length = size };

	set_shared(ctx, &o);
	*obj = o.mappable;
	*id = o.mapping_identity;
	return 0;
}

static void shared_memory_of_an_mmap_call_can_be_named(void)
{
	struct fixture f = setup(false);
	struct msn_mmap_call c = { .addr = AT(10),
				   .length = 2 * PAGE,
				   .prot = RW,
				   .flags = MAP_SHARED | MAP_ANONYMOUS |
					    MAP_FIXED,
				   .shared = make_object,
				   .ctx = &f };
	uint64_t addr;

	CHECK(msn_mm_sys_mmap(f.mm, &c, &addr) == 0);
	EXPECT(name(f.mm, 10, 2, "x") == 0);
	LISTED(f.mm, "10-12[anon_shmem:x]");
	teardown(&f);
}

static void names_move_with_their_mapping_and_go_to_children(void)
{
	struct fixture f = setup(false);
	struct msn_mm *child;
	uint64_t out;

	map(f.mm, anon(10, 4));
	EXPECT(name(f.mm, 10, 4, "x") == 0);
	EXPECT(msn_mm_mseal(f.mm, AT(13), PAGE, 0) == 0);
	EXPECT(name(f.mm, 13, 1, "y") == 0); /* a seal does not forbid it */
	EXPECT(msn_mm_mremap(f.mm, AT(11), PAGE, PAGE,
			     MREMAP_MAYMOVE | MREMAP_FIXED, AT(30), &out) == 0);
	CHECK(msn_mm_fork(f.mm, make_platform(false), &child) == 0);
	LISTED(child, "10-11[anon:x] 12-13[anon:x] 13-14[anon:y] "
		      "30-31[anon:x]");
	msn_mm_free(child);
	teardown(&f);
}

static void a_heap_is_called_that_whatever_its_name(void)
{
	struct fixture f = setup(false);

	msn_mm_set_heap(f.mm, AT(10));
	EXPECT(msn_mm_brk(f.mm, AT(12)) == AT(12));
	EXPECT(name(f.mm, 10, 1, "x") == 0);
	LISTED(f.mm, "10-11[heap] 11-12[heap]");
	EXPECT(msn_mm_brk(f.mm, AT(11)) == AT(11));
	EXPECT(name(f.mm, 10, 1, NULL) == 0);
	LISTED(f.mm, "10-11[heap]");
	teardown(&f);
}

/* ---- Failures ------------------------------------------------------------ */

static void *prepare_walk(void)
{
	struct fixture *f = malloc(sizeof(*f));

	CHECK(f);
	*f = setup(false);
	map(f->mm, anon(10, 4));
	return f;
}

static int walk(void *state)
{
	struct fixture *f = state;

	return name(f->mm, 11, 2, "x");
}

static void verify(void *state, int rc, const char *point)
{
	struct fixture *f = state;

	EXPECT(point ? rc == -ENOMEM || rc == -EAGAIN || rc == 0 : rc == 0);
	LISTED(f->mm, rc ? "10-14" : "10-11 11-13[anon:x] 13-14");
	teardown(f);
	free(f);
}

static void a_name_that_fails_changes_nothing(void)
{
	struct fixture f = setup(false);
	struct msn_mm_limits l = msn_mm_no_limits();

	EXPECT(check_every_fault(prepare_walk, walk, verify) > 1);
	map(f.mm, anon(10, 4));
	l.mappings = 1;
	msn_mm_set_limits(f.mm, &l);
	EXPECT(name(f.mm, 11, 2, "x") == -EAGAIN);
	EXPECT(name(f.mm, 10, 4, "x") == 0);
	teardown(&f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_name_shows_in_the_listing_until_it_is_taken_off),
		CHECK_TEST(only_some_characters_and_79_of_them),
		CHECK_TEST(ranges_are_as_for_madvise),
		CHECK_TEST(shared_anonymous_memory_has_another_form),
		CHECK_TEST(other_memory_cannot_be_named),
		CHECK_TEST(shared_memory_of_an_mmap_call_can_be_named),
		CHECK_TEST(names_move_with_their_mapping_and_go_to_children),
		CHECK_TEST(a_heap_is_called_that_whatever_its_name),
		CHECK_TEST(a_name_that_fails_changes_nothing),
		{}
	};

	return check_main(argc, argv, "mm name", tests);
}
