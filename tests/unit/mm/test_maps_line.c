/*
 * Maps lines, compared with what this kernel prints of this very process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/fd.h"
#include "mm/maps_line.h"
#include "range/access.h"
#include "support/check.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Parses one line of the kernel's and prints it again by ours. */
static void expect_same(const char *line, size_t len)
{
	struct msn_maps_line l = { 0 };
	char perms[5], out[MSN_MAPS_LINE_MAX], name[512] = "";
	int at = 0;

	CHECK(sscanf(line,
		     "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64
		     "%n",
		     &l.start, &l.end, perms, &l.offset, &l.dev_major,
		     &l.dev_minor, &l.inode, &at) == 7);
	while (line[at] == ' ')
		at++;
	memcpy(name, line + at, len - (size_t)at);
	l.perms = (perms[0] == 'r' ? MSN_ACCESS_READ : 0u) |
		  (perms[1] == 'w' ? MSN_ACCESS_WRITE : 0u) |
		  (perms[2] == 'x' ? MSN_ACCESS_EXEC : 0u);
	l.shared = perms[3] == 's';
	l.name = name;
	EXPECT(msn_maps_line(out, sizeof(out), &l) == len + 1);
	EXPECT(strncmp(out, line, len) == 0 && out[len] == '\n');
}

static void every_line_is_as_the_kernel_prints_it(void)
{
	msn_auto(msn_freep) char *maps = NULL;
	char *line, *end;
	unsigned lines = 0;

	CHECK(msn_read_file(&maps, NULL, AT_FDCWD, "/proc/self/maps",
			    1 << 20) == 0);
	for (line = maps; (end = strchr(line, '\n')); line = end + 1, lines++)
		expect_same(line, (size_t)(end - line));
	EXPECT(lines > 10);
}

static void a_newline_in_a_name_is_shown_as_an_escape(void)
{
	struct msn_maps_line l = { .start = 0x1000,
				   .end = 0x2000,
				   .name = "/tmp/a\nb" };
	char out[MSN_MAPS_LINE_MAX];

	msn_maps_line(out, sizeof(out), &l);
	EXPECT(strstr(out, "/tmp/a\\012b\n") != NULL);
	EXPECT(strchr(out, '\n') == strrchr(out, '\n'));
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(every_line_is_as_the_kernel_prints_it),
		CHECK_TEST(a_newline_in_a_name_is_shown_as_an_escape),
		{}
	};

	return check_main(argc, argv, "maps line", tests);
}
