/*
 * The rules of memmap: every field of an mmap's options does what it says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rules/rule.h"

#include <sys/mman.h>

/* mmap at any place, with where it went. */
static uint64_t place(struct msn_mm *mm, struct msn_mmap_opts o)
{
	uint64_t addr;

	CHECK(msn_mm_mmap(mm, &o, &addr) == 0);
	return addr;
}

static struct msn_mmap_opts anywhere(uint64_t pages)
{
	struct msn_mmap_opts o = anon(0, pages);

	o.addr = 0;
	o.fixed = o.unmap = false;
	return o;
}

static bool is_mapped(struct msn_mm *mm, uint64_t page)
{
	return get(mm, AT(page)) >= 0;
}

static void length(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(0, 0);

		EXPECT(try_map(g->f.mm, o) == -EINVAL);
		o.length = UINT64_MAX;
		EXPECT(try_map(g->f.mm, o) == -ENOMEM);
		o.length = PAGE + 1;
		EXPECT(try_map(g->f.mm, o) == 0);
		EXPECT(msn_mm_mapped_bytes(g->f.mm) == 2 * PAGE);
	}
}

static void identity_and_mappable(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(0, 2);

		o.mapping_identity = &g->r.id;
		map(g->f.mm, o);
		SAYS(g, "");
		EXPECT(g->r.id_refs == 1 && listed(g->f.mm, "/recorder"));
		EXPECT(get(g->f.mm, AT(0)) == 0);
		map(g->f.mm, of_recorder(&g->r, 4, 2, false));
		EXPECT(get(g->f.mm, AT(4)) == 'A');
	}
}

static void offset(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 0, 2, false);

		o.offset = 1;
		EXPECT(try_map(g->f.mm, o) == -EINVAL);
		o.offset = 3 * PAGE;
		EXPECT(try_map(g->f.mm, o) == 0);
		EXPECT(get(g->f.mm, AT(1)) == 'E');
		o = anon(8, 2);
		o.offset = 1; /* of nothing */
		EXPECT(try_map(g->f.mm, o) == 0);
	}
}

static void address(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anywhere(2);

		o.addr = AT(100) + 1;
		EXPECT(place(g->f.mm, o) == AT(100));
		o.addr = AT(101); /* taken */
		EXPECT(place(g->f.mm, o) == AT(REGION_PAGES - 2));
		o.fixed = true;
		o.addr = AT(200) + 1;
		EXPECT(try_map(g->f.mm, o) == -EINVAL);
	}
}

static void fixed(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(10, 2);

		o.unmap = false;
		map(g->f.mm, o);
		EXPECT(is_mapped(g->f.mm, 10));
		o.addr = AT(11);
		EXPECT(try_map(g->f.mm, o) == -ENOMEM);
		o.addr = AT(REGION_PAGES - 1);
		EXPECT(try_map(g->f.mm, o) == -ENOMEM);
		EXPECT(mapping_count(g->f.mm) == 1);
	}
}

static void unmap(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(10, 2);

		map(g->f.mm, anon(10, 3));
		put(g->f.mm, AT(10), 'x');
		put(g->f.mm, AT(12), 'y');
		map(g->f.mm, o);
		EXPECT(get(g->f.mm, AT(10)) == 0);
		EXPECT(get(g->f.mm, AT(12)) == 'y');
		o.fixed = false;
		EXPECT(try_map(g->f.mm, o) == -EINVAL);
	}
}

static void no_replace(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(10, 2);

		o.no_replace = true;
		EXPECT(try_map(g->f.mm, o) == -EINVAL); /* with unmap */
		o.unmap = false;
		EXPECT(try_map(g->f.mm, o) == 0);
		o.addr = AT(11);
		EXPECT(try_map(g->f.mm, o) == -EEXIST);
		o.fixed = false;
		EXPECT(try_map(g->f.mm, o) == -EINVAL);
	}
}

/* A space of all of the lower half. */
static struct msn_mm *wide_space(struct msn_memfile *mf)
{
	struct msn_mm *mm;

	CHECK(msn_mm_new(&mm, &(struct msn_mm_opts){
				      .memfile = mf,
				      .as = make_platform(false) }) == 0);
	return mm;
}

static void map_32bit(void)
{
	const uint64_t gib = UINT64_C(1) << 30;

	ON_GROUND(g)
	{
		struct msn_mm *mm = wide_space(g->f.mf);
		struct msn_mmap_opts o = anywhere(2);

		o.map_32bit = true;
		EXPECT(place(mm, o) == gib);
		o.perms = MSN_ACCESS_READ;
		EXPECT(place(mm, o) == gib + 2 * PAGE);
		o.length = gib;
		EXPECT(try_map(mm, o) == -ENOMEM);
		o = anon(0, 2);
		o.map_32bit = true; /* a place is a place */
		EXPECT(place(mm, o) == AT(0));
		msn_mm_free(mm);
	}
}

static void perms(void)
{
	char c = 'x';
	size_t done;

	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(0, 1);

		o.perms = MSN_ACCESS_NONE;
		map(g->f.mm, o);
		EXPECT(get(g->f.mm, AT(0)) == -EFAULT);
		o.perms = MSN_ACCESS_READ;
		map(g->f.mm, o);
		EXPECT(get(g->f.mm, AT(0)) == 0);
		EXPECT(msn_mm_copy_out(g->f.mm, AT(0), &c, 1, plain, &done) ==
		       -EFAULT);
		o.perms = MSN_ACCESS_WRITE; /* as the hardware has it */
		map(g->f.mm, o);
		put(g->f.mm, AT(0), 'x');
		EXPECT(get(g->f.mm, AT(0)) == 'x');
		EXPECT(listed(g->f.mm, " -w-p "));
	}
}

static void max_perms(void)
{
	char c = 'x';
	size_t done;

	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 0, 1, false);

		o.max_perms = MSN_ACCESS_READ;
		EXPECT(try_map(g->f.mm, o) == -EACCES);
		o.perms = MSN_ACCESS_READ;
		map(g->f.mm, o);
		EXPECT(msn_mm_mprotect(g->f.mm, AT(0), PAGE, RW) == -EACCES);
		EXPECT(msn_mm_copy_out(g->f.mm, AT(0), &c, 1, forced, &done) ==
		       -EFAULT);
	}
}

static void private(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 1, true));
		put(g->f.mm, AT(0), 'x');
		EXPECT(g->r.bytes[0] == 'A' && listed(g->f.mm, " rw-p "));
		map(g->f.mm, of_recorder(&g->r, 0, 1, false));
		put(g->f.mm, AT(0), 'x');
		EXPECT(g->r.bytes[0] == 'x' && listed(g->f.mm, " rw-s "));
	}
}

static void grows_down(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 1000, 2, true);
		struct msn_mmap_opts near = anywhere(2);

		o.grows_down = true;
		EXPECT(try_map(g->f.mm, o) == -EINVAL);
		o = anon(1000, 2);
		o.grows_down = true;
		map(g->f.mm, o);
		near.addr = AT(998); /* in the gap below it */
		EXPECT(place(g->f.mm, near) != AT(998));
		put(g->f.mm, AT(999), 'x'); /* it grows */
		EXPECT(get(g->f.mm, AT(999)) == 'x');
	}
}

static void stack(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(0, 2);
		char *text;

		o.stack = true;
		map(g->f.mm, o);
		CHECK(msn_mm_smaps(g->f.mm, &text) == 0);
		EXPECT(strstr(text, " nh") != NULL);
		free(text);
	}
}

static void no_reserve(void)
{
	struct msn_mm_limits l = msn_mm_no_limits();

	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(0, 8);

		l.commit = 4 * PAGE;
		msn_mm_set_limits(g->f.mm, &l);
		EXPECT(try_map(g->f.mm, o) == -ENOMEM);
		o.no_reserve = true;
		EXPECT(try_map(g->f.mm, o) == 0);
	}
}

static void sync_is_shown(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 0, 2, false);
		char *text;

		o.sync = true;
		map(g->f.mm, o);
		CHECK(msn_mm_smaps(g->f.mm, &text) == 0);
		EXPECT(strstr(text, " sf") != NULL);
		free(text);
	}
}

static void droppable(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(0, 1);
		struct msn_mm *child;

		o.droppable = true;
		map(g->f.mm, o);
		put(g->f.mm, AT(0), 'x');
		CHECK(msn_mm_fork(g->f.mm, make_platform(false), &child) == 0);
		EXPECT(get(child, AT(0)) == 0);
		EXPECT(get(g->f.mm, AT(0)) == 'x');
		msn_mm_free(child);
	}
}

static void file_read_only(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 0, 1, false);

		o.perms = MSN_ACCESS_READ;
		o.max_perms = MSN_ACCESS_READ | MSN_ACCESS_EXEC;
		o.file_read_only = true;
		map(g->f.mm, o);
		SAYS(g, "add 0-1@0r ");
		EXPECT(listed(g->f.mm, " r--s "));
	}
}

static void effect_default(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, anon(0, 4));
		EXPECT(msn_mm_placed_bytes(g->f.mm) == 0);
	}
}

static void effect_populate(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(0, 4);

		o.platform_effect = MSN_PLATFORM_EFFECT_POPULATE;
		map(g->f.mm, o);
		EXPECT(msn_mm_placed_bytes(g->f.mm) == 4 * PAGE);
		o = of_recorder(&g->r, 8, 4, false);
		o.platform_effect = MSN_PLATFORM_EFFECT_COMMIT;
		map(g->f.mm, o);
		EXPECT(g->r.page_refs == 4);
		o.perms = MSN_ACCESS_NONE;
		map(g->f.mm, o);
		EXPECT(g->r.page_refs == 0);
	}
}

static void required_effect(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 0, 4, false);

		g->r.translate_error = -EIO;
		o.platform_effect = MSN_PLATFORM_EFFECT_POPULATE;
		EXPECT(try_map(g->f.mm, o) == 0);
		o.require_platform_effect = true;
		EXPECT(try_map(g->f.mm, o) < 0);
		EXPECT(mapping_count(g->f.mm) == 0 && g->r.id_refs == 0);
	}
}

static uint64_t locked(struct msn_mm *mm)
{
	struct msn_mm_usage u;

	msn_mm_usage(mm, &u);
	return u.locked;
}

static void mlock_mode(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(0, 4);

		o.mlock_mode = MSN_MLOCK_EAGER;
		map(g->f.mm, o);
		EXPECT(locked(g->f.mm) == 4 * PAGE);
		EXPECT(msn_mm_placed_bytes(g->f.mm) == 4 * PAGE);
		o = anon(8, 4);
		o.mlock_mode = MSN_MLOCK_LAZY;
		map(g->f.mm, o);
		EXPECT(locked(g->f.mm) == 8 * PAGE);
		EXPECT(msn_mm_placed_bytes(g->f.mm) == 4 * PAGE);
	}
}

static void the_greater_mode_counts(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(0, 4);

		CHECK(msn_mm_mlockall(g->f.mm, MCL_FUTURE | MCL_ONFAULT) == 0);
		o.mlock_mode = MSN_MLOCK_EAGER;
		map(g->f.mm, o);
		EXPECT(locked(g->f.mm) == 4 * PAGE);
		EXPECT(msn_mm_placed_bytes(g->f.mm) == 0);
	}
}

static void what_locks_do(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(0, 4);
		struct msn_mm *child;

		o.mlock_mode = MSN_MLOCK_LAZY;
		map(g->f.mm, o);
		EXPECT(msn_mm_madvise(g->f.mm, AT(0), PAGE, MADV_DONTNEED) ==
		       -EINVAL);
		EXPECT(msn_mm_msync(g->f.mm, AT(0), PAGE, MS_INVALIDATE) ==
		       -EBUSY);
		CHECK(msn_mm_fork(g->f.mm, make_platform(false), &child) == 0);
		EXPECT(locked(child) == 0);
		msn_mm_free(child);
	}
}

static void name(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 0, 2, false);

		o.name = "[vdso]";
		map(g->f.mm, o);
		EXPECT(listed(g->f.mm, " [vdso]\n"));
		EXPECT(!listed(g->f.mm, "/recorder"));
	}
}

static void name_mut(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(0, 2);

		o.name_mut = MSN_NAME_MUT_ANON;
		map(g->f.mm, o);
		EXPECT(msn_mm_set_anon_name(g->f.mm, AT(0), PAGE, "a") == 0);
		EXPECT(listed(g->f.mm, "[anon:a]\n"));
		o = of_recorder(&g->r, 4, 2, false);
		o.name_mut = MSN_NAME_MUT_ANON_SHMEM;
		map(g->f.mm, o);
		EXPECT(msn_mm_set_anon_name(g->f.mm, AT(4), PAGE, "b") == 0);
		EXPECT(listed(g->f.mm, "[anon_shmem:b]\n"));
		map(g->f.mm, of_recorder(&g->r, 8, 2, false));
		EXPECT(msn_mm_set_anon_name(g->f.mm, AT(8), PAGE, "c") ==
		       -EBADF);
	}
}

static void force(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(REGION_PAGES, 1);

		EXPECT(try_map(g->f.mm, o) == -ENOMEM);
		o.force = true;
		EXPECT(try_map(g->f.mm, o) == 0);
		EXPECT(mapping_count(g->f.mm) == 1);
		EXPECT(!is_mapped(g->f.mm, REGION_PAGES)); /* to a copy */
	}
}

static void owned_content(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 0, 2, false);

		o.sentry_owned_content = true;
		map(g->f.mm, o);
		SAYS(g, "add 0-2@0w ");
		EXPECT(get(g->f.mm, AT(1)) == 'B');
	}
}

static const struct check_test rules[] = {
	{ "length is rounded up to pages; 0 is EINVAL, wrapping ENOMEM",
	  length },
	{ "an identity alone names anonymous memory; a mappable is it",
	  identity_and_mappable },
	{ "offset is page aligned, or of no meaning without a mappable",
	  offset },
	{ "addr is a hint, rounded down, unless fixed", address },
	{ "fixed: there and nowhere else, in the layout and free", fixed },
	{ "unmap replaces what is there, and goes with fixed", unmap },
	{ "no_replace is EEXIST over something, with fixed alone", no_replace },
	{ "map_32bit is the lowest in [1 GiB, 2 GiB), if not fixed",
	  map_32bit },
	{ "perms are what may be done; writing implies reading", perms },
	{ "max_perms bounds perms, mprotect and a debugger", max_perms },
	{ "private copies on write; shared writes to the object", private },
	{ "grows_down keeps a gap, grows, and is of no mappable", grows_down },
	{ "stack: without large pages", stack },
	{ "no_reserve is not held against the commit limit", no_reserve },
	{ "sync is shown", sync_is_shown },
	{ "droppable memory does not go to a child", droppable },
	{ "file_read_only is shared but not writable", file_read_only },
	{ "without a platform_effect nothing is put in place", effect_default },
	{ "populate and commit put pages in place, where any right is",
	  effect_populate },
	{ "an effect that fails is passed over unless it is required",
	  required_effect },
	{ "mlock_mode counts as locked; eager brings pages in", mlock_mode },
	{ "the greater of two lock modes counts", the_greater_mode_counts },
	{ "locked memory is not discarded; a child has no locks",
	  what_locks_do },
	{ "name is shown in place of the identity's", name },
	{ "name_mut says whether and how it can be renamed", name_mut },
	{ "force maps outside of the layout", force },
	{ "sentry_owned_content changes nothing for who maps", owned_content },
	{ 0 }
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, "options", rules);
}
