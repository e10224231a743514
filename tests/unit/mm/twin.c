/*
 * Twins: running a script twice.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/mm/twin_internal.h"

#include "base/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first byte of a page, or what stands for it. */
static char shown(const struct twin_side *side, uint64_t addr, bool presence)
{
	size_t page = (addr - side->base) / PAGE;
	int c;

	if (presence && (page >= TWIN_PAGES ||
			 !(side->pagemap[page] & MSN_PAGEMAP_PRESENT)))
		return '-';
	c = side->peek(side->ctx, addr);
	return (char)(c < 0 ? '!' : c ? c : '.');
}

/* Appends what a line of maps says, if it is about the compared pages. */
static size_t add_line(char *out, size_t len, const char *line,
		       const struct twin_side *side, bool presence)
{
	uint64_t start, end, offset;
	char perms[8];
	size_t n = strcspn(line, "\n");
	const char *heap = n > 6 && memcmp(line + n - 6, "[heap]", 6) == 0
				   ? " [heap]"
				   : "";

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64, &start, &end,
		   perms, &offset) != 4 ||
	    start < side->base || start >= side->base + TWIN_PAGES * PAGE)
		return len;
	len += (size_t)snprintf(out + len, TWIN_SHAPE_MAX - len,
				"%" PRIu64 "-%" PRIu64 " %s %" PRIu64 "%s \"",
				(start - side->base) / PAGE,
				(end - side->base) / PAGE, perms, offset / PAGE,
				heap);
	for (; start < end && len + 8 < TWIN_SHAPE_MAX; start += PAGE)
		out[len++] = shown(side, start, presence);
	return len + (size_t)snprintf(out + len, TWIN_SHAPE_MAX - len, "\"\n");
}

void twin_take_shape(char *out, const char *maps, const struct twin_side *side,
		     bool presence)
{
	size_t len = 0;

	out[0] = '\0';
	while (*maps && len + 256 < TWIN_SHAPE_MAX) {
		const char *end = strchr(maps, '\n');

		len = add_line(out, len, maps, side, presence);
		if (!end)
			break;
		maps = end + 1;
	}
}

char twin_letter(uint64_t page)
{
	return (char)('a' + page % 26);
}

/* Both sides find the same bytes, whatever the other has stored. */
static void fill_file(const struct twin_files *f)
{
	char page[MSN_PAGE_SIZE];

	for (int i = 0; i < TWIN_FILE_PAGES; i++) {
		memset(page, '0' + i, PAGE);
		CHECK(msn_pwrite_full(f->rw, page, PAGE, (uint64_t)i * PAGE) ==
		      0);
	}
}

static void open_files(struct twin_files *f)
{
	strcpy(f->path, "/tmp/memsnap-test-XXXXXX");
	f->rw = mkstemp(f->path);
	CHECK(f->rw >= 0);
	fill_file(f);
	CHECK(fchmod(f->rw, 0666) == 0);
	f->ro = open(f->path, O_RDONLY | O_CLOEXEC);
	f->zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	CHECK(f->ro >= 0 && f->zero >= 0);
}

static void close_files(struct twin_files *f)
{
	close(f->rw);
	close(f->ro);
	close(f->zero);
	unlink(f->path);
}

static bool same(const struct twin_step *s, const struct twin_outcome *kernel,
		 const struct twin_outcome *space)
{
	bool moved_away = s->op == TWIN_REMAP && kernel->value >= TWIN_PAGES &&
			  space->value >= TWIN_PAGES;

	return kernel->error == space->error &&
	       kernel->locked == space->locked &&
	       (kernel->value == space->value || moved_away) &&
	       strcmp(kernel->shape, space->shape) == 0;
}

static void tell(const char *name, size_t step, const struct twin_outcome *o,
		 const char *who)
{
	printf("%s, step %zu: %s says %d (%s), value %" PRIu64
	       ", locked %" PRIu64 "\n%s",
	       name, step, who, o->error, strerror(o->error), o->value,
	       o->locked, o->shape);
}

void twin_run(const char *name, const struct twin_step *steps, size_t count,
	      struct twin_opts opts)
{
	static struct twin_outcome kernel[TWIN_STEPS_MAX], mine;
	struct twin_script script = { steps, count, opts, { .rw = -1 } };
	struct twin_space space;

	CHECK(count <= TWIN_STEPS_MAX);
	open_files(&script.files);
	twin_ask_kernel(&script, kernel);
	fill_file(&script.files);
	twin_space_init(&space, &script);
	for (size_t i = 0; i < count; i++) {
		twin_do_step(&space, &script, &steps[i], &mine);
		EXPECT(msn_mm_check(space.f.mm) == NULL);
		EXPECT(same(&steps[i], &kernel[i], &mine));
		if (same(&steps[i], &kernel[i], &mine))
			continue;
		tell(name, i, &kernel[i], "the kernel");
		tell(name, i, &mine, "the space");
		break;
	}
	twin_space_deinit(&space);
	close_files(&script.files);
}
