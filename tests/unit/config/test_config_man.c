/*
 * memsnapd.conf(5) and the table of settings say the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config_scene.h"
#include "support/check.h"

#include "base/fd.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static char *page; /* its SETTINGS, without marks of form */

/* Takes out what makes letters bold, underlined or mere letters. */
static void make_plain(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (*from == '\\' && from[1])
			*to++ = *++from;
		else if (*from != '*' && *from != '_')
			*to++ = *from;
	}
	*to = '\0';
}

static void read_page(void)
{
	char *end;

	if (msn_read_file(&page, NULL, AT_FDCWD, MAN_PAGE, 1 << 20))
		abort();
	page = strstr(page, "\n# SETTINGS\n");
	if (!page || !(end = strstr(page + 2, "\n# ")))
		abort();
	*end = '\0';
	make_plain(page);
}

/* What stands under a head, its blanks and line ends as one blank each. */
static void text_under(const char *head, char *out, size_t size)
{
	const char *at = strstr(page, head), *end;
	size_t len = 0;

	CHECK(at);
	at += strlen(head);
	end = strstr(at, "\n\n");
	for (end = end ? end : at + strlen(at); at < end && len + 1 < size;
	     at++)
		if (!isspace((unsigned char)*at))
			out[len++] = *at;
		else if (len && out[len - 1] != ' ')
			out[len++] = ' ';
	out[len] = '\0';
}

static void head_of(const struct msn_config_setting *s, char *out, size_t size)
{
	snprintf(out, size, "\n%s = %s%s\n", s->name,
		 msn_config_setting_argument(s), s->list ? ", ..." : "");
}

static void every_setting_has_its_text(void)
{
	size_t count;
	const struct msn_config_setting *s = msn_config_settings(&count);

	for (size_t i = 0; i < count; i++) {
		char head[128], text[2048], want[1024];

		head_of(&s[i], head, sizeof(head));
		text_under(head, text, sizeof(text));
		snprintf(want, sizeof(want), "%s. Default: %s.%s", s[i].help,
			 *s[i].initial ? s[i].initial : "none",
			 s[i].restart ? " Needs a restart." : "");
		if (strncmp(text, want, strlen(want)) != 0)
			fprintf(stderr, "page:  %s\ntable: %s\n", text, want);
		EXPECT(strncmp(text, want, strlen(want)) == 0);
		EXPECT(s[i].restart || !strstr(text, "Needs a restart"));
	}
}

/* Sections and names, in the order of the table and no others. */
static void the_page_has_nothing_else(void)
{
	size_t count, next = 0;
	const struct msn_config_setting *s = msn_config_settings(&count);
	char section[32] = "";

	for (char *line = strtok(page, "\n"); line; line = strtok(NULL, "\n")) {
		char name[64];

		if (sscanf(line, "## [%31[^]]]", section) == 1 ||
		    sscanf(line, "%63[a-z_] = ", name) != 1)
			continue;
		CHECK(next < count);
		EXPECT(strcmp(section, s[next].section) == 0);
		EXPECT(strcmp(name, s[next].name) == 0);
		next++;
	}
	EXPECT(next == count);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(every_setting_has_its_text),
		CHECK_TEST(the_page_has_nothing_else),
		{}
	};

	read_page();
	return check_main(argc, argv, "config_man", tests);
}
