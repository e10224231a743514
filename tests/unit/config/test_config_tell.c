/*
 * What is told of a configuration: printed, helped with, checked, reloaded.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config_scene.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Something for every setting that is a list, or has escapes. */
static const char rich[] =
	"[listen]\nunix = /a, /b\\,c\\ d\ntls_client_ca = /ca\nfd =\n"
	"tls = 0.0.0.0:1, [::1]:2\ntls_certificate = /c\ntls_key = /k\n"
	"[roles]\noperate = any, uri:x\\,y tenant:t\nread =\n"
	"[files]\nallow = /x rw role:admin, /y\n"
	"[quota]\nowner_memory = 64G\n[service]\nwatchdog = off\n";

/* ---- Printing ----------------------------------------------------------- */

/* As printed, without the comments. */
static char *printed(const struct msn_config *c)
{
	char *text, *to;

	CHECK(msn_config_print(c, &text) == 0);
	to = text;
	for (char *from = text; *from;) {
		size_t len = strcspn(from, "\n");

		len += from[len] == '\n';
		if (*from != '#') {
			memmove(to, from, len);
			to += len;
		}
		from += len;
	}
	*to = '\0';
	return text;
}

static void what_is_printed_loads_as_the_same(void)
{
	struct scene s;
	char *first, *second;

	scene_open(&s);
	scene_file(&s, ETC, rich);
	CHECK(scene_load(&s));
	first = printed(s.config);
	scene_file(&s, ETC, first);
	CHECK(scene_load(&s));
	second = printed(s.config);
	EXPECT(strcmp(first, second) == 0);
	EXPECT(s.config->listen.sockets.count == 2);
	EXPECT(*s.config->listen.fd_socket == '\0');
	EXPECT(!s.config->service.watchdog);
	free(first);
	free(second);
	scene_close(&s);
}

static void printing_says_where_a_value_comes_from(void)
{
	struct scene s;
	char *text, want[256];

	scene_open(&s);
	scene_file(&s, ETC, "[listen]\nunix = /a, /b\nunix = /c\n");
	s.environment[0] = "MEMSNAPD_LOG_LEVEL=debug";
	s.argv[1] = "--store-path=/s";
	s.argv[2] = "--listen-fd=";
	s.argv[3] = "--roles-operate=";
	CHECK(scene_load(&s));
	CHECK(msn_config_print(s.config, &text) == 0);
	snprintf(want, sizeof(want),
		 "[listen]\n# %s/" ETC ":2\nunix = /a\nunix = /b\n# %s/" ETC
		 ":3\nunix = /c\n# default\nunix_mode = 0660\n",
		 s.root, s.root);
	EXPECT(strncmp(text, want, strlen(want)) == 0);
	EXPECT(strstr(text, "\n# environment\nlevel = debug\n"));
	EXPECT(strstr(text, "\n\n[store]\n# command line\npath = /s\n"));
	EXPECT(strstr(text, "\n# command line\nfd =\n"));
	EXPECT(strstr(text, "\n# command line\noperate =\n"));
	EXPECT(strstr(text, "\n# default\ntcp =\n"));
	free(text);
	scene_close(&s);
}

static void help_names_every_flag_in_lines_of_80(void)
{
	size_t count;
	const struct msn_config_setting *s = msn_config_settings(&count);
	char *text;

	CHECK(msn_config_help(&text) == 0);
	for (size_t i = 0; i < count; i++) {
		char flag[128];

		snprintf(flag, sizeof(flag), "\n  --%s-%s %s%s\n", s[i].section,
			 s[i].name, msn_config_setting_argument(&s[i]),
			 s[i].list ? ",..." : "");
		for (char *c = strstr(flag, "--"); *c != ' '; c++)
			if (*c == '_')
				*c = '-';
		EXPECT(strstr(text, flag));
	}
	EXPECT(strstr(text, "[/run/memsnap/memsnapd.sock]."));
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");

		EXPECT(len < 80);
		line += len + (line[len] == '\n');
	}
	free(text);
}

/* ---- --check-config, --print-config ------------------------------------- */

static char said[2][8192]; /* on 1 and 2 */

/* msn_config_act() of this command line, with what it says put aside. */
static int act(struct scene *s)
{
	struct msn_config_args args;
	struct msn_config_opts opts = { .root = s->root, .args = &args };
	int argc = 0, kept[2], files[2], code;

	while (s->argv[argc])
		argc++;
	CHECK(msn_config_args_init(&args, argc, (char *const *)(void *)s->argv,
				   NULL) == 0);
	fflush(stdout);
	for (int i = 0; i < 2; i++) {
		files[i] = memfd_create("said", MFD_CLOEXEC);
		kept[i] = fcntl(i + 1, F_DUPFD_CLOEXEC, 3);
		dup2(files[i], i + 1);
	}
	code = msn_config_act(&opts);
	for (int i = 0; i < 2; i++) {
		ssize_t n = pread(files[i], said[i], sizeof(said[i]) - 1, 0);

		said[i][n > 0 ? n : 0] = '\0';
		dup2(kept[i], i + 1);
		close(kept[i]);
		close(files[i]);
	}
	msn_config_args_deinit(&args);
	return code;
}

static void checking_says_every_problem_and_ends_with_1(void)
{
	struct scene s;
	char want[512];

	scene_open(&s);
	s.argv[1] = "--check-config";
	EXPECT(act(&s) == 0);
	EXPECT(!*said[0] && !*said[1]);
	scene_file(&s, ETC, "[log]\nlevel = loud\n[keep]\nevents = 0\n");
	EXPECT(act(&s) == 1);
	snprintf(want, sizeof(want),
		 "memsnapd: %s/" ETC ":2: log.level: 'loud' is none of error, "
		 "warning, info, debug\nmemsnapd: %s/" ETC
		 ":4: keep.events: '0' is out of bounds: from 1 to 10485760\n",
		 s.root, s.root);
	EXPECT(!*said[0] && strcmp(said[1], want) == 0);
	scene_close(&s);
}

static void printing_goes_to_stdout(void)
{
	struct scene s;

	scene_open(&s);
	s.argv[1] = "--log-level=debug";
	s.argv[2] = "--print-config";
	EXPECT(act(&s) == 0);
	EXPECT(strstr(said[0], "\n# command line\nlevel = debug\n"));
	EXPECT(!*said[1]);
	scene_close(&s);
}

static void the_last_action_counts(void)
{
	static const struct {
		const char *flag;
		enum msn_config_action action;
	} flags[] = {
		{ "--check-config", MSN_CONFIG_CHECK },
		{ "--print-config", MSN_CONFIG_PRINT },
		{ "--version", MSN_CONFIG_VERSION },
		{ "--help", MSN_CONFIG_HELP },
	};
	struct msn_config_args args;

	for (size_t i = 0; i < MSN_ARRAY_LEN(flags); i++) {
		char *argv[] = { (char *)"memsnapd", (char *)"--check-config",
				 (char *)(uintptr_t)flags[i].flag, NULL };

		CHECK(msn_config_args_init(&args, 3, argv, NULL) == 0);
		EXPECT(args.action == flags[i].action);
		msn_config_args_deinit(&args);
		CHECK(msn_config_args_init(&args, 0, argv + 3, NULL) == 0);
		EXPECT(args.action == MSN_CONFIG_RUN);
		msn_config_args_deinit(&args);
	}
}

/* ---- Reload ------------------------------------------------------------- */

static char changes[512];

static void note_change(void *ctx, const struct msn_config_setting *s)
{
	size_t used = strlen(changes);

	EXPECT(ctx == changes);
	snprintf(changes + used, sizeof(changes) - used, "%s.%s%s ", s->section,
		 s->name, s->restart ? "!" : "");
}

static void a_reload_keeps_what_needs_a_restart(void)
{
	msn_auto(msn_config_unrefp) struct msn_config *now = NULL;
	msn_auto(msn_config_unrefp) struct msn_config *held = NULL;
	struct scene s;

	scene_open(&s);
	scene_file(&s, ETC, "[service]\nworkers = 3\n[log]\nlevel = error\n");
	CHECK(scene_load(&s));
	now = msn_config_ref(s.config);
	scene_file(&s, ETC,
		   "[service]\nworkers = 4\n[log]\nlevel = debug\n"
		   "[roles]\nread = uid:7\n[listen]\nunix =\n");
	CHECK(scene_load(&s));
	changes[0] = '\0';
	CHECK(msn_config_reload(&held, now, s.config, note_change, changes,
				NULL) == 0);
	EXPECT(strcmp(changes, "listen.unix! service.workers! roles.read "
			       "log.level ") == 0);
	EXPECT(held->service.workers == 3);
	EXPECT(held->listen.sockets.count == 1);
	EXPECT(held->log.level == MSN_LOG_DEBUG);
	EXPECT(held->roles.read.count == 1);
	/* The three are whole, each by itself. */
	EXPECT(now->log.level == MSN_LOG_ERROR);
	EXPECT(s.config->service.workers == 4);
	scene_close(&s);
}

static void a_mixture_that_makes_no_sense_is_refused(void)
{
	msn_auto(msn_config_unrefp) struct msn_config *now = NULL;
	struct msn_config *held = NULL;
	struct msn_failure why = { 0 };
	struct scene s;

	scene_open(&s);
	scene_file(&s, ETC, "[listen]\ntcp = [::1]:1\n[roles]\ntokens = /t\n");
	CHECK(scene_load(&s));
	now = msn_config_ref(s.config);
	/* Good by itself, but the address stays until a restart. */
	scene_file(&s, ETC, "[log]\nlevel = debug\n");
	CHECK(scene_load(&s));
	changes[0] = '\0';
	EXPECT(msn_config_reload(&held, now, s.config, note_change, changes,
				 &why) == -EINVAL);
	EXPECT(!held && !*changes);
	EXPECT(strstr(why.text, "listen.tcp: needs roles.tokens"));
	scene_close(&s);
}

struct walk {
	struct msn_config *now, *next, *held;
	char *text;
};

static void *walk_prepare(void)
{
	struct walk *w = calloc(1, sizeof(*w));
	struct scene s;

	CHECK(w);
	scene_open(&s);
	scene_file(&s, ETC, rich);
	CHECK(scene_load(&s));
	w->now = msn_config_ref(s.config);
	scene_file(&s, ETC, "[log]\nlevel = debug\n[listen]\nunix =\n");
	CHECK(scene_load(&s));
	w->next = msn_config_ref(s.config);
	scene_close(&s);
	return w;
}

static int walk_body(void *state)
{
	struct walk *w = state;
	int rc = msn_config_reload(&w->held, w->now, w->next, NULL, NULL, NULL);

	if (rc == 0)
		rc = msn_config_print(w->held, &w->text);
	return rc;
}

static void walk_verify(void *state, int rc, const char *name)
{
	struct walk *w = state;

	EXPECT(rc == (name ? -ENOMEM : 0));
	EXPECT(!name || !w->text);
	EXPECT(w->now->listen.sockets.count == 2);
	EXPECT(w->next->log.level == MSN_LOG_DEBUG);
	if (rc == 0)
		EXPECT(w->held->listen.sockets.count == 2);
	msn_config_unref(w->now);
	msn_config_unref(w->next);
	msn_config_unref(w->held);
	free(w->text);
	free(w);
}

static void without_memory_nothing_changes(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 100);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(what_is_printed_loads_as_the_same),
		CHECK_TEST(printing_says_where_a_value_comes_from),
		CHECK_TEST(help_names_every_flag_in_lines_of_80),
		CHECK_TEST(checking_says_every_problem_and_ends_with_1),
		CHECK_TEST(printing_goes_to_stdout),
		CHECK_TEST(the_last_action_counts),
		CHECK_TEST(a_reload_keeps_what_needs_a_restart),
		CHECK_TEST(a_mixture_that_makes_no_sense_is_refused),
		CHECK_TEST(without_memory_nothing_changes),
		{}
	};

	return check_main(argc, argv, "config_tell", tests);
}
