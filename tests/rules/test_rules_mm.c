/*
 * The rules of a space: mappings, faults, every call, copies, listings.  Those
 * that the running kernel can be asked about are in test_rules_kernel.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rules/rule.h"

#include <sys/mman.h>

static void usage(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(1000, 2);
		struct msn_mm_usage u;

		map(g->f.mm, anon(0, 4));
		o.grows_down = true;
		map(g->f.mm, o);
		map(g->f.mm, of_recorder(&g->r, 10, 3, false));
		msn_mm_usage(g->f.mm, &u);
		EXPECT(u.total == 9 * PAGE && u.data == 4 * PAGE);
		EXPECT(u.stack == 2 * PAGE && u.mappings == 3);
	}
}

static void placements_under_mappings(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		put(g->f.mm, AT(1), 'x');
		put(g->f.mm, AT(3), 'y');
		EXPECT(g->r.page_refs == 2);
		CHECK(msn_mm_munmap(g->f.mm, AT(0), 2 * PAGE) == 0);
		EXPECT(g->r.page_refs == 1);
	}
}

static void signals(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 0, 2, false);

		g->r.pages = 1;
		o.perms = MSN_ACCESS_READ;
		map(g->f.mm, o);
		EXPECT(msn_mm_handle_fault(g->f.mm, AT(5), MSN_ACCESS_READ) ==
		       MSN_MM_E_MAPERR);
		EXPECT(msn_mm_handle_fault(g->f.mm, AT(0), MSN_ACCESS_WRITE) ==
		       MSN_MM_E_ACCERR);
		EXPECT(msn_mm_handle_fault(g->f.mm, AT(1), MSN_ACCESS_READ) ==
		       MSN_MM_E_BUS);
		EXPECT(msn_mm_handle_fault(g->f.mm, AT(0) + 7,
					   MSN_ACCESS_READ) == 0);
	}
}

static void no_memory_for_reading(void)
{
	ON_GROUND(g)
	{
		map(g->f.mm, anon(0, 512));
		EXPECT(get(g->f.mm, AT(7)) == 0);
		EXPECT(msn_memfile_used(g->f.mf) == 0);
		put(g->f.mm, AT(7), 'x');
		EXPECT(msn_memfile_used(g->f.mf) == PAGE);
	}
}

static void copying_one_page(void)
{
	ON_GROUND(g)
	{
		struct msn_mm *child;

		map(g->f.mm, anon(0, 512));
		for (uint64_t i = 0; i < 512; i++)
			put(g->f.mm, AT(i), 'x');
		CHECK(msn_mm_fork(g->f.mm, make_platform(false), &child) == 0);
		put(child, AT(300), 'y');
		EXPECT(msn_memfile_used(g->f.mf) == 513 * PAGE);
		EXPECT(get(g->f.mm, AT(300)) == 'x');
		msn_mm_free(child);
		EXPECT(msn_memfile_used(g->f.mf) == 512 * PAGE);
	}
}

static int note_offset(void *ctx, const struct msn_private_run *run)
{
	*(uint64_t *)ctx = run->offset;
	return 0;
}

/* Where in the memory file page @page is. */
static uint64_t place_of(struct msn_mm *mm, uint64_t page)
{
	struct msn_addr_range r = { AT(page), AT(page + 1) };
	uint64_t offset = UINT64_MAX;

	CHECK(msn_mm_for_each_private_run(mm, r, note_offset, &offset) == 0);
	return offset;
}

static void taken_back(void)
{
	ON_GROUND(g)
	{
		struct msn_mm *child, *other;
		uint64_t place;

		map(g->f.mm, anon(0, 4));
		for (uint64_t i = 0; i < 4; i++)
			put(g->f.mm, AT(i), 'x');
		place = place_of(g->f.mm, 1);
		CHECK(msn_mm_fork(g->f.mm, make_platform(false), &child) == 0);
		CHECK(msn_mm_fork(g->f.mm, make_platform(false), &other) == 0);
		put(child, AT(1), 'y');
		CHECK(msn_mm_munmap(other, AT(1), PAGE) == 0);
		put(g->f.mm, AT(1), 'z'); /* shared no more */
		put(g->f.mm, AT(2), 'z'); /* still */
		EXPECT(place_of(g->f.mm, 1) == place);
		EXPECT(place_of(child, 1) != place);
		EXPECT(place_of(g->f.mm, 2) != place + PAGE);
		EXPECT(get(other, AT(2)) == 'x' && get(child, AT(2)) == 'x');
		msn_mm_free(child);
		msn_mm_free(other);
	}
}

static void map_may_not_lock(void)
{
	ON_GROUND(g)
	{
		struct msn_mm_limits l = msn_mm_no_limits();
		struct msn_mmap_opts o = anon(0, 1);

		l.can_lock = false;
		l.memlock = 0;
		msn_mm_set_limits(g->f.mm, &l);
		o.mlock_mode = MSN_MLOCK_EAGER;
		EXPECT(try_map(g->f.mm, o) == -EPERM);
	}
}

static void top_down(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(0, REGION_PAGES - 2);
		uint64_t addr;

		map(g->f.mm, o);
		o = anon(0, 1);
		o.addr = 0;
		o.fixed = o.unmap = false;
		CHECK(msn_mm_mmap(g->f.mm, &o, &addr) == 0);
		EXPECT(addr == AT(REGION_PAGES - 1));
		CHECK(msn_mm_mmap(g->f.mm, &o, &addr) == 0);
		EXPECT(addr == AT(REGION_PAGES - 2));
		EXPECT(try_map(g->f.mm, o) == -ENOMEM);
	}
}

static void sync_outside(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 8, 2, false);

		map(g->f.mm, of_recorder(&g->r, 0, 2, false));
		o.mlock_mode = MSN_MLOCK_LAZY;
		map(g->f.mm, o);
		recorder_take(&g->r);
		EXPECT(msn_mm_msync(g->f.mm, AT(0), 6 * PAGE,
				    MS_SYNC | MS_INVALIDATE) == -ENOMEM);
		SAYS(g, "sync 0-2 ");
	}
}

static void names(void)
{
	ON_GROUND(g)
	{
		struct msn_mmap_opts o = anon(0, 4);

		o.name_mut = MSN_NAME_MUT_ANON;
		map(g->f.mm, o);
		EXPECT(msn_mm_set_anon_name(g->f.mm, AT(1), PAGE, "a[b") ==
		       -EINVAL);
		EXPECT(msn_mm_set_anon_name(g->f.mm, AT(1), PAGE, "a\n") ==
		       -EINVAL);
		EXPECT(msn_mm_set_anon_name(g->f.mm, AT(1), PAGE, "ab") == 0);
		EXPECT(mapping_count(g->f.mm) == 3);
		EXPECT(listed(g->f.mm, "[anon:ab]"));
		EXPECT(msn_mm_set_anon_name(g->f.mm, AT(1), PAGE, NULL) == 0);
		EXPECT(mapping_count(g->f.mm) == 1);
	}
}

static void fork_shares(void)
{
	ON_GROUND(g)
	{
		struct msn_mm *child;

		map(g->f.mm, anon(0, 2));
		put(g->f.mm, AT(0), 'p');
		map(g->f.mm, of_recorder(&g->r, 4, 2, false));
		CHECK(msn_mm_fork(g->f.mm, make_platform(false), &child) == 0);
		put(g->f.mm, AT(0), 'q');
		put(child, AT(4), 's');
		EXPECT(get(child, AT(0)) == 'p');
		EXPECT(get(g->f.mm, AT(4)) == 's');
		msn_mm_free(child);
	}
}

static void fork_lazily(void)
{
	ON_GROUND(g)
	{
		struct msn_mm *child;

		map(g->f.mm, of_recorder(&g->r, 4, 2, false));
		put(g->f.mm, AT(4), 's');
		g->r.mm = NULL;
		CHECK(msn_mm_fork(g->f.mm, make_platform(false), &child) == 0);
		EXPECT(g->r.page_refs == 1);
		recorder_take(&g->r);
		EXPECT(get(child, AT(4)) == 's');
		SAYS(g, "ask 0-1/0-1:1 ref ");
		msn_mm_free(child);
	}
}

static void fork_leaves_out(void)
{
	ON_GROUND(g)
	{
		struct msn_mm *child;
		struct msn_mm_usage u;

		map(g->f.mm, anon(0, 6));
		put(g->f.mm, AT(0), 'a');
		put(g->f.mm, AT(2), 'b');
		put(g->f.mm, AT(4), 'c');
		CHECK(msn_mm_madvise(g->f.mm, AT(0), PAGE, MADV_DONTFORK) == 0);
		CHECK(msn_mm_madvise(g->f.mm, AT(2), PAGE, MADV_WIPEONFORK) ==
		      0);
		CHECK(msn_mm_mlockall(g->f.mm, MCL_CURRENT | MCL_FUTURE) == 0);
		CHECK(msn_mm_fork(g->f.mm, make_platform(false), &child) == 0);
		EXPECT(get(child, AT(0)) == -EFAULT);
		EXPECT(get(child, AT(2)) == 0 && get(child, AT(4)) == 'c');
		map(child, anon(10, 1));
		msn_mm_usage(child, &u);
		EXPECT(u.locked == 0 && u.total == 6 * PAGE);
		msn_mm_free(child);
	}
}

static void copies_stop(void)
{
	char buf[3 * MSN_PAGE_SIZE];
	size_t done;

	ON_GROUND(g)
	{
		map(g->f.mm, anon(0, 2));
		EXPECT(msn_mm_copy_in(g->f.mm, AT(0) + 1, buf, sizeof(buf),
				      plain, &done) == -EFAULT);
		EXPECT(done == 2 * PAGE - 1);
		EXPECT(msn_mm_zero_out(g->f.mm, AT(1), 2 * PAGE, plain,
				       &done) == -EFAULT);
		EXPECT(done == PAGE);
	}
}

static void copies_in_range(void)
{
	char c = 0;
	size_t done;

	ON_GROUND(g)
	{
		EXPECT(msn_mm_copy_in(g->f.mm, UINT64_MAX, &c, 1, plain,
				      &done) == -EFAULT);
		EXPECT(msn_mm_copy_in(g->f.mm, AT(REGION_PAGES), &c, 1, plain,
				      &done) == -EFAULT);
		EXPECT(done == 0);
	}
}

static void debuggers(void)
{
	char c = '!';
	size_t done;

	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 0, 2, true);

		o.perms = MSN_ACCESS_READ;
		map(g->f.mm, o);
		EXPECT(msn_mm_copy_out(g->f.mm, AT(0), &c, 1, plain, &done) ==
		       -EFAULT);
		EXPECT(msn_mm_copy_out(g->f.mm, AT(0), &c, 1, forced, &done) ==
		       0);
		EXPECT(get(g->f.mm, AT(0)) == '!' && g->r.bytes[0] == 'A');
	}
}

static void words(void)
{
	uint32_t seen;

	ON_GROUND(g)
	{
		map(g->f.mm, anon(0, 2));
		EXPECT(msn_mm_swap32(g->f.mm, AT(0), 7, &seen) == 0);
		EXPECT(msn_mm_cas32(g->f.mm, AT(0), 1, 2, &seen) == 0);
		EXPECT(seen == 7);
		EXPECT(msn_mm_load32(g->f.mm, AT(0), &seen) == 0 && seen == 7);
		EXPECT(msn_mm_load32(g->f.mm, AT(1) - 2, &seen) == -EFAULT);
		CHECK(msn_mm_mprotect(g->f.mm, AT(0), PAGE, PROT_READ) == 0);
		EXPECT(msn_mm_swap32(g->f.mm, AT(0), 8, &seen) == -EFAULT);
		EXPECT(msn_mm_load32(g->f.mm, AT(0), &seen) == 0);
	}
}

static void futexes(void)
{
	struct msn_futex_key a, b;

	ON_GROUND(g)
	{
		struct msn_mmap_opts o = of_recorder(&g->r, 8, 2, false);

		map(g->f.mm, of_recorder(&g->r, 0, 4, false));
		o.offset = 2 * PAGE;
		map(g->f.mm, o);
		CHECK(msn_mm_futex_key(g->f.mm, AT(2), true, &a) == 0);
		CHECK(msn_mm_futex_key(g->f.mm, AT(8), true, &b) == 0);
		EXPECT(msn_futex_key_same(&a, &b) && g->r.id_refs == 4);
		msn_futex_key_put(&b);
		CHECK(msn_mm_futex_key(g->f.mm, AT(8), false, &b) == 0);
		EXPECT(!msn_futex_key_same(&a, &b));
		msn_futex_key_put(&a);
		msn_futex_key_put(&b);
	}
}

static void between_spaces(void)
{
	uint64_t done;

	ON_GROUND(g)
	{
		struct msn_iov to = { AT(0), 2 * PAGE };
		struct msn_iov from = { AT(11), 2 * PAGE };
		struct msn_process_vm c = { g->f.mm, &to, 1, g->f.mm,
					    &from,   1,	  0 };

		map(g->f.mm, anon(0, 2));
		map(g->f.mm, anon(10, 2));
		EXPECT(msn_mm_process_vm_readv(&c, &done) == 0);
		EXPECT(done == PAGE);
		from.addr = AT(20);
		EXPECT(msn_mm_process_vm_readv(&c, &done) == -EFAULT);
		c.flags = 1;
		EXPECT(msn_mm_process_vm_readv(&c, &done) == -EINVAL);
		c.flags = 0;
		c.remote_count = MSN_IOV_MAX + 1;
		EXPECT(msn_mm_process_vm_readv(&c, &done) == -EINVAL);
	}
}

static void listing(void)
{
	ON_GROUND(g)
	{
		char *maps, *path;

		map(g->f.mm, of_recorder(&g->r, 0, 2, false));
		CHECK(msn_mm_maps(g->f.mm, &maps) == 0);
		path = strchr(maps, '/');
		EXPECT(path && path - maps == 73);
		free(maps);
	}
}

static void resident(void)
{
	ON_GROUND(g)
	{
		struct msn_mm_usage u;

		map(g->f.mm, anon(0, 8));
		put(g->f.mm, AT(1), 'x');
		CHECK(msn_mm_munmap(g->f.mm, AT(4), 4 * PAGE) == 0);
		msn_mm_usage(g->f.mm, &u);
		EXPECT(u.rss_anonymous == PAGE && u.total == 4 * PAGE);
		EXPECT(u.peak == 8 * PAGE);
	}
}

static const struct check_test rules[] = {
	{ "total, data and stack are counted by what a mapping is", usage },
	{ "a placement exists only under a mapping, with a "
	  "reference on its pages",
	  placements_under_mappings },
	{ "no mapping is MAPERR, no right is ACCERR, no page is a "
	  "bus error",
	  signals },
	{ "a read of untouched memory allocates none", no_memory_for_reading },
	{ "a write after a fork copies the page it needs, and no "
	  "more",
	  copying_one_page },
	{ "the last owner of a page takes it back and writes it where "
	  "it is",
	  taken_back },
	{ "mmap: MAP_LOCKED without any right to lock is EPERM",
	  map_may_not_lock },
	{ "a place: the highest that fits, and from below once that "
	  "is used up",
	  top_down },
	{ "msync: a mapping behind the range is not looked at", sync_outside },
	{ "a name has printable characters, shows in listings, "
	  "cuts, and is taken off by NULL",
	  names },
	{ "fork: private pages are copied when either writes; "
	  "shared ones never",
	  fork_shares },
	{ "fork: pages of objects are not taken along, but asked "
	  "for",
	  fork_lazily },
	{ "fork: DONTFORK stays behind, WIPEONFORK is empty, locks "
	  "are not inherited",
	  fork_leaves_out },
	{ "copies stop at a hole, tell how far they came, and are "
	  "EFAULT",
	  copies_stop },
	{ "an address range that wraps or leaves the layout is "
	  "EFAULT",
	  copies_in_range },
	{ "a debugger writes what mprotect could grant, to a copy "
	  "where it is private",
	  debuggers },
	{ "atomic words are aligned, permitted and tell what was "
	  "there",
	  words },
	{ "a futex key is of the space and address, or of the "
	  "object and offset",
	  futexes },
	{ "process_vm: flags and long lists are EINVAL; what came "
	  "before a fault counts",
	  between_spaces },
	{ "a line of maps: rights, offset, device, inode, and the "
	  "path from column 73 on",
	  listing },
	{ "rss counts pages that are there, not mappings; its peak "
	  "of all stays",
	  resident },
	{ 0 }
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, "mm", rules);
}
