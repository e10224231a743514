/*
 * Loading: which source counts, how lists add up, and what a problem says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config_scene.h"
#include "support/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HERE "/etc/memsnap/memsnapd.conf"

static const char *origin(struct scene *s, const char *section,
			  const char *name)
{
	const char *text = msn_config_origin(s->config, setting(section, name));

	return strncmp(text, s->root, strlen(s->root)) == 0
		       ? text + strlen(s->root)
		       : text;
}

/* ---- Sources ------------------------------------------------------------ */

static void without_any_source_the_table_holds(void)
{
	struct scene s;

	scene_open(&s);
	CHECK(scene_load(&s));
	CHECK(s.config->listen.sockets.count == 1);
	EXPECT(strcmp(s.config->listen.sockets.at[0],
		      "/run/memsnap/memsnapd.sock") == 0);
	EXPECT(s.config->listen.socket_mode == 0660);
	EXPECT(s.config->listen.tcp.count == 0 &&
	       s.config->listen.tls.count == 0);
	EXPECT(s.config->service.workers == 16 && s.config->service.watchdog);
	EXPECT(s.config->service.drain_timeout_ms == 30000);
	EXPECT(s.config->quota.total.connections == 16384);
	EXPECT(s.config->quota.owner.memory_bytes == MSN_CONFIG_UNLIMITED);
	EXPECT(s.config->roles.operate.count == 1);
	EXPECT(s.config->log.level == MSN_LOG_INFO);
	EXPECT(strcmp(origin(&s, "log", "level"), "default") == 0);
	scene_close(&s);
}

/* Every source says its number; one more of them at each turn. */
static void later_sources_replace_earlier_ones(void)
{
	static const char *const files[] = {
		LIB, ETC, "usr/lib/memsnap/memsnapd.conf.d/10-a.conf",
		ETC ".d/20-b.conf", "usr/lib/memsnap/memsnapd.conf.d/30-c.conf"
	};
	struct scene s;
	char text[64];

	scene_open(&s);
	for (unsigned i = 0; i < MSN_ARRAY_LEN(files); i++) {
		snprintf(text, sizeof(text), "[service]\nworkers = %u\n",
			 i + 1);
		scene_file(&s, files[i], text);
		CHECK(scene_load(&s));
		EXPECT(s.config->service.workers == i + 1);
		snprintf(text, sizeof(text), "/%s:2", files[i]);
		EXPECT(strcmp(origin(&s, "service", "workers"), text) == 0);
	}
	s.environment[0] = "MEMSNAPD_SERVICE_WORKERS=77";
	CHECK(scene_load(&s));
	EXPECT(s.config->service.workers == 77);
	EXPECT(strcmp(origin(&s, "service", "workers"), "environment") == 0);
	s.argv[1] = "--service-workers";
	s.argv[2] = "88";
	CHECK(scene_load(&s));
	EXPECT(s.config->service.workers == 88);
	EXPECT(strcmp(origin(&s, "service", "workers"), "command line") == 0);
	/* What only the first of them says still holds. */
	scene_file(&s, LIB, "[keep]\nevents = 5\n");
	CHECK(scene_load(&s));
	EXPECT(s.config->keep.events == 5);
	scene_close(&s);
}

static void drop_ins_are_read_by_name_across_folders(void)
{
	struct scene s;
	char path[128];

	scene_open(&s);
	scene_file(&s, "usr/lib/memsnap/memsnapd.conf.d/50-x.conf",
		   "[service]\nworkers = 1\n[keep]\nevents = 1\n");
	scene_file(&s, ETC ".d/50-x.conf", "[service]\nworkers = 2\n");
	scene_file(&s, ETC ".d/9-y.conf", "[keep]\noperations = 9\n");
	scene_file(&s, ETC ".d/10-z.conf", "[keep]\noperations = 10\n");
	/* None of these is a drop-in. */
	scene_file(&s, ETC ".d/99.conf.bak", "nonsense\n");
	scene_file(&s, ETC ".d/.hidden.conf", "nonsense\n");
	scene_file(&s, ETC ".d/.conf", "nonsense\n");
	CHECK(scene_load(&s));
	EXPECT(s.config->service.workers == 2);
	/* The masked file says nothing at all. */
	EXPECT(s.config->keep.events == 10000);
	/* "9" stands behind "10". */
	EXPECT(s.config->keep.operations == 9);
	/* A link to /dev/null masks too. */
	snprintf(path, sizeof(path), "%s/" ETC ".d/50-x.conf", s.root);
	CHECK(unlink(path) == 0 && symlink("/dev/null", path) == 0);
	CHECK(scene_load(&s));
	EXPECT(s.config->service.workers == 16);
	scene_close(&s);
}

static void a_file_that_is_named_stands_alone(void)
{
	struct scene s;
	char path[64];

	scene_open(&s);
	scene_file(&s, ETC, "[service]\nworkers = 1\n");
	scene_file(&s, LIB, "[keep]\nevents = 1\n");
	scene_file(&s, "mine.conf", "[keep]\noperations = 3\n");
	scene_file(&s, "mine.conf.d/x.conf", "[log]\nlevel = debug\n");
	snprintf(path, sizeof(path), "%s/mine.conf", s.root);
	s.argv[1] = "--config";
	s.argv[2] = path;
	CHECK(scene_load(&s));
	EXPECT(s.config->service.workers == 16);
	EXPECT(s.config->keep.events == 10000);
	EXPECT(s.config->keep.operations == 3);
	EXPECT(s.config->log.level == MSN_LOG_DEBUG);
	s.argv[2] = "/nonexistent/x.conf";
	CHECK(!scene_load(&s));
	EXPECT(strcmp(s.why.text, "/nonexistent/x.conf: cannot open the file: "
				  "No such file or directory") == 0);
	scene_close(&s);
}

/* ---- Lists -------------------------------------------------------------- */

static void a_list_of_one_source_adds_up_and_replaces_earlier_ones(void)
{
	struct scene s;
	const struct msn_config_paths *l;

	scene_open(&s);
	scene_file(&s, LIB, "[listen]\nunix = /one\n");
	scene_file(&s, ETC, "[listen]\nunix = /a\\ , /b\\,c\nunix=/d\n");
	CHECK(scene_load(&s));
	l = &s.config->listen.sockets;
	CHECK(l->count == 3);
	EXPECT(strcmp(l->at[0], "/a ") == 0 && strcmp(l->at[1], "/b,c") == 0 &&
	       strcmp(l->at[2], "/d") == 0);
	scene_file(&s, ETC ".d/x.conf", "[listen]\nunix = /x\n");
	CHECK(scene_load(&s));
	EXPECT(s.config->listen.sockets.count == 1);
	scene_close(&s);
}

static void of_a_value_that_is_set_twice_the_later_counts(void)
{
	struct scene s;

	scene_open(&s);
	scene_file(&s, ETC, "[service]\nworkers = 3\nworkers = 4\n");
	CHECK(scene_load(&s));
	EXPECT(s.config->service.workers == 4);
	EXPECT(strcmp(origin(&s, "service", "workers"), "/" ETC ":3") == 0);
	scene_close(&s);
}

static void an_empty_value_empties_a_list(void)
{
	struct scene s;

	scene_open(&s);
	scene_file(&s, ETC, "[listen]\nunix =\n");
	CHECK(scene_load(&s));
	EXPECT(s.config->listen.sockets.count == 0);
	EXPECT(strcmp(origin(&s, "listen", "unix"), "/" ETC ":2") == 0);
	scene_file(&s, ETC, "[listen]\nunix = /a\nunix =\nunix = /b\n");
	CHECK(scene_load(&s));
	EXPECT(s.config->listen.sockets.count == 1);
	s.environment[0] = "MEMSNAPD_LISTEN_UNIX=";
	CHECK(scene_load(&s));
	EXPECT(s.config->listen.sockets.count == 0);
	EXPECT(strcmp(origin(&s, "listen", "unix"), "environment") == 0);
	s.argv[1] = "--listen-unix=/p,/q";
	s.argv[2] = "--listen-unix";
	s.argv[3] = "/r";
	CHECK(scene_load(&s));
	EXPECT(s.config->listen.sockets.count == 3);
	scene_close(&s);
}

static void nothing_between_commas_is_refused(void)
{
	static const char line[] =
		HERE ":2: listen.unix: nothing stands between two commas, or "
		     "before or behind one";
	struct scene s;

	scene_open(&s);
	EXPECT(refused(&s, "[listen]\nunix = /a,,/b\n", line));
	EXPECT(refused(&s, "[listen]\nunix = /a,\n", line));
	EXPECT(refused(&s, "[listen]\nunix = , /a\n", line));
	scene_close(&s);
}

/* ---- The form of files -------------------------------------------------- */

static void comments_blanks_and_line_ends_do_not_count(void)
{
	struct scene s;

	scene_open(&s);
	scene_file(&s, ETC,
		   "\xef\xbb\xbf# x\r\n; y\r\n\r\n[service]  ; z\r\n"
		   "  workers=3 ; three\r\n\t[keep]\n"
		   "   events : 4\n\n  operations = 5");
	CHECK(scene_load(&s));
	EXPECT(s.config->service.workers == 3);
	EXPECT(s.config->keep.events == 4);
	EXPECT(s.config->keep.operations == 5);
	EXPECT(strcmp(origin(&s, "keep", "operations"), "/" ETC ":9") == 0);
	scene_close(&s);
}

static void what_is_no_line_is_refused(void)
{
	struct scene s;

	scene_open(&s);
	EXPECT(refused(&s, "[service]\nworkers = 3\nworkers\n",
		       HERE ":3: the line is neither [section] nor name = "
			    "value"));
	EXPECT(refused(&s, "# x\n[service\n",
		       HERE ":2: the line is neither [section] nor name = "
			    "value"));
	EXPECT(refused(&s, "workers = 3\n[service]\n",
		       HERE ":1: 'workers' stands before any [section]"));
	scene_close(&s);
}

static void a_line_that_would_be_cut_is_refused(void)
{
	char text[400] = "[listen]\nunix = /";
	size_t start = strlen("[listen]\n"), at = strlen(text);
	struct scene s;

	scene_open(&s);
	memset(text + at, ' ', sizeof(text) - at);
	/* Many short paths, so that only the line is too long. */
	while (at - start < MSN_CONFIG_LINE_MAX - 12) {
		char piece[12];
		int n = snprintf(piece, sizeof(piece), "%zu,/x", at);

		memcpy(text + at, piece, (size_t)n);
		at += (size_t)n;
	}
	memset(text + at, 'x', 20);
	text[start + MSN_CONFIG_LINE_MAX] = '\0';
	scene_file(&s, ETC, text);
	CHECK(scene_load(&s));
	EXPECT(s.config->listen.sockets.count > 20);
	text[start + MSN_CONFIG_LINE_MAX] = 'x';
	text[start + MSN_CONFIG_LINE_MAX + 1] = '\0';
	EXPECT(refused(&s, text,
		       HERE ":2: the line is longer than 198 bytes; a list may "
			    "go on several lines"));
	/* Of a comment nobody needs the end. */
	memset(text, '#', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	scene_file(&s, ETC, text);
	EXPECT(scene_load(&s));
	scene_close(&s);
}

/* ---- What does not exist ------------------------------------------------ */

static void an_unknown_name_gets_the_nearest(void)
{
	struct scene s;

	scene_open(&s);
	EXPECT(refused(&s, "[quota]\nowner_spacs = 3\n",
		       HERE ":2: [quota] has no 'owner_spacs'; did you mean "
			    "'owner_spaces'?"));
	EXPECT(refused(&s, "[keep]\nxyzzy = 3\n",
		       HERE ":2: [keep] has no 'xyzzy'; it has events, "
			    "operations"));
	EXPECT(refused(&s, "\n[quotas]\nowner_spaces = 3\nfoo = 1\n",
		       HERE ":2: there is no section [quotas]; did you mean "
			    "[quota]?"));
	EXPECT(refused(&s, "[xyzzy]\n",
		       HERE ":1: there is no section [xyzzy]; there are "
			    "[listen], [store], [service], [quota], [files], "
			    "[roles], [log], [keep]"));
	scene_close(&s);
}

static void an_unknown_variable_is_refused(void)
{
	struct scene s;

	scene_open(&s);
	s.environment[0] = "MEMSNAPD_LOG_LEVLE=debug";
	s.environment[1] = "OTHER_LOG_LEVEL=x";
	CHECK(!scene_load(&s));
	EXPECT(strcmp(s.why.text,
		      "environment: MEMSNAPD_LOG_LEVLE is no "
		      "setting; did you mean MEMSNAPD_LOG_LEVEL?") == 0);
	s.environment[0] = "MEMSNAPD_X=1";
	CHECK(!scene_load(&s));
	EXPECT(strcmp(s.why.text, "environment: MEMSNAPD_X is no setting; see "
				  "memsnapd.conf(5)") == 0);
	s.environment[0] = "MEMSNAPD_LOG_LEVEL=loud";
	CHECK(!scene_load(&s));
	EXPECT(strcmp(s.why.text, "environment: log.level: 'loud' is none of "
				  "error, warning, info, debug") == 0);
	scene_close(&s);
}

/* Is the command line refused with this? */
static bool flags_refused(struct scene *s, const char *a, const char *b,
			  const char *text)
{
	s->argv[1] = a;
	s->argv[2] = b;
	if (scene_load(s))
		return false;
	if (strcmp(s->why.text, text) != 0)
		fprintf(stderr, "said:  %s\nnot:   %s\n", s->why.text, text);
	return strcmp(s->why.text, text) == 0;
}

static void a_command_line_that_makes_no_sense_is_refused(void)
{
	struct scene s;

	scene_open(&s);
	EXPECT(flags_refused(&s, "--log-levle", "debug",
			     "command line: '--log-levle' is no flag; did you "
			     "mean '--log-level'?"));
	EXPECT(flags_refused(&s, "--xyzzy", NULL,
			     "command line: '--xyzzy' is no flag; see --help"));
	EXPECT(flags_refused(&s, "--log-level", NULL,
			     "command line: '--log-level' needs a value"));
	EXPECT(flags_refused(&s, "--config", NULL,
			     "command line: '--config' needs a value"));
	EXPECT(flags_refused(&s, "--help=x", NULL,
			     "command line: '--help=x' takes no value"));
	EXPECT(flags_refused(&s, "debug", NULL,
			     "command line: 'debug' is no flag; see --help"));
	EXPECT(flags_refused(&s, "--", NULL,
			     "command line: '--' is no flag; see --help"));
	EXPECT(flags_refused(&s, "--log-level=loud", NULL,
			     "command line: log.level: 'loud' is none of "
			     "error, warning, info, debug"));
	EXPECT(flags_refused(&s, "--store-path=/a\nb", NULL,
			     "command line: store.path: '/a?b' has a control "
			     "character in it"));
	scene_close(&s);
}

/* ---- All or nothing ----------------------------------------------------- */

static void every_problem_is_told_and_the_first_is_the_failure(void)
{
	struct scene s;

	scene_open(&s);
	scene_file(&s, LIB, "[log]\nlevel = loud\n");
	scene_file(&s, ETC, "[log]\nlevel = info\n[service]\nworkers = 0\n");
	s.environment[0] = "MEMSNAPD_X=1";
	CHECK(!scene_load(&s));
	EXPECT(s.problem_count == 3);
	EXPECT(strcmp(s.problems,
		      "/usr/lib/memsnap/memsnapd.conf:2: log.level: 'loud' is "
		      "none of error, warning, info, debug\n"
		      "/etc/memsnap/memsnapd.conf:4: service.workers: '0' is "
		      "out of bounds: from 1 to 1024\n"
		      "environment: MEMSNAPD_X is no setting; see "
		      "memsnapd.conf(5)\n") == 0);
	EXPECT(strstr(s.why.text, "memsnapd.conf:2: log.level"));
	EXPECT(s.why.kind == MSN_FAILURE_INVALID);
	scene_close(&s);
}

static void what_makes_no_sense_together_is_refused(void)
{
	static const struct {
		const char *text, *line;
	} cases[] = {
		{ "[listen]\ntls = 0.0.0.0:1\ntls_client_ca = /c\n",
		  ":2: listen.tls: needs listen.tls_certificate and "
		  "listen.tls_key" },
		{ "[listen]\ntls_certificate = /c\n",
		  ":2: listen.tls_certificate: needs listen.tls_key as well" },
		{ "[listen]\ntls_key = /c\n",
		  ":2: listen.tls_key: needs listen.tls_certificate as well" },
		{ "[listen]\ntls = 0.0.0.0:1\ntls_certificate=/c\n"
		  "tls_key=/k\n",
		  ":2: listen.tls: needs listen.tls_client_ca or roles.tokens: "
		  "nobody could say who they are" },
		{ "[listen]\ntcp = 127.0.0.1:1\n",
		  ":2: listen.tcp: needs roles.tokens: nobody could say who "
		  "they are" },
		{ "[roles]\nadmin = dns:x tenant:a\n",
		  ":2: roles.admin: uri: and dns: need listen.tls_client_ca: "
		  "no certificate is asked for without it" },
		{ "[listen]\ntls_client_ca = /c\n[roles]\n"
		  "read = dns:x tenant:a\nadmin = dns:x tenant:b\n",
		  ":5: roles.admin: 'x' stands for the tenants a and b; it can "
		  "be one only" },
		{ "[roles]\ntokens=/t\n[listen]\ntcp = [::1]:1, [::1]:1\n",
		  ":4: listen.tcp: has an address twice" },
		{ "[listen]\nmetrics = [::1]:1, [::1]:1\n",
		  ":2: listen.metrics: has an address twice, or one of "
		  "listen.tcp or listen.tls" },
		{ "[listen]\nunix = /a, /a\n",
		  ":2: listen.unix: has '/a' twice" },
		{ "[listen]\nunix = /a\nfd = /a\n",
		  ":3: listen.fd: '/a' is one of listen.unix" },
		{ "[listen]\nfd = /a\nmetrics = /a\n",
		  ":3: listen.metrics: '/a' is one of listen.unix, or "
		  "listen.fd" },
		{ "[files]\nallow = /a ro, /b\nallow = /a rw\n",
		  ":3: files.allow: has '/a' twice" },
	};
	char line[256];
	struct scene s;

	scene_open(&s);
	for (size_t i = 0; i < MSN_ARRAY_LEN(cases); i++) {
		snprintf(line, sizeof(line), HERE "%s", cases[i].line);
		EXPECT(refused(&s, cases[i].text, line));
	}
	scene_file(&s, ETC,
		   "[roles]\ntokens=/t\n[listen]\n"
		   "tcp = [::1]:0, [::1]:0\n");
	EXPECT(scene_load(&s));
	scene_close(&s);
}

/* ---- Files that are not to be believed ---------------------------------- */

static void a_file_that_anybody_may_write_is_refused(void)
{
	struct scene s;
	char path[64];

	scene_open(&s);
	scene_file(&s, ETC, "[service]\nworkers = 3\n");
	snprintf(path, sizeof(path), "%s/" ETC, s.root);
	CHECK(chmod(path, 0646) == 0);
	CHECK(!scene_load(&s));
	EXPECT(s.why.kind == MSN_FAILURE_DENIED);
	EXPECT(strcmp(s.problems, HERE ": anybody may write to the file; take "
				       "that right away (chmod o-w)\n") == 0);
	if (geteuid() == 0) {
		CHECK(chmod(path, 0644) == 0 && chown(path, 4711, 0) == 0);
		CHECK(!scene_load(&s));
		EXPECT(strcmp(s.problems,
			      HERE ": the file belongs to user 4711; it must "
				   "be root's or the service's own\n") == 0);
	}
	scene_close(&s);
}

static void what_is_no_text_file_is_refused(void)
{
	struct scene s;
	char path[64];
	FILE *file;

	scene_open(&s);
	scene_file(&s, ETC ".d/a.conf/x", "");
	CHECK(!scene_load(&s));
	EXPECT(strcmp(s.problems, HERE ".d/a.conf: this is no file\n") == 0);
	scene_close(&s);

	scene_open(&s);
	scene_file(&s, ETC, "");
	snprintf(path, sizeof(path), "%s/" ETC, s.root);
	file = fopen(path, "we");
	CHECK(file && fwrite("[log]\n\0level = info\n", 1, 19, file) == 19);
	fclose(file);
	CHECK(!scene_load(&s));
	EXPECT(strcmp(s.problems, HERE ": the file has a zero byte in it\n") ==
	       0);
	CHECK(truncate(path, MSN_CONFIG_FILE_MAX + 1) == 0);
	CHECK(!scene_load(&s));
	EXPECT(strcmp(s.problems,
		      HERE ": the file is larger than 1048576 bytes\n") == 0);
	CHECK(unlink(path) == 0 && mkfifo(path, 0600) == 0);
	CHECK(!scene_load(&s)); /* and did not wait for a writer */
	EXPECT(strcmp(s.problems, HERE ": this is no file\n") == 0);
	scene_close(&s);
}

/* ---- Faults ------------------------------------------------------------- */

struct walk {
	struct scene scene;
	struct msn_config *config;
};

static void *walk_prepare(void)
{
	struct walk *w = calloc(1, sizeof(*w));

	CHECK(w);
	scene_open(&w->scene);
	scene_file(&w->scene, ETC,
		   "[listen]\nunix = /a, /b\nmetrics = /m\n"
		   "tls_client_ca = /c\n"
		   "unix_group = root\n"
		   "[roles]\noperate = any, dns:x tenant:y, user:root\n"
		   "read =\nadmin = group:root\n"
		   "[files]\nallow = /a rw role:admin\n");
	scene_file(&w->scene, ETC ".d/a.conf", "[log]\nlevel = debug\n");
	w->scene.environment[0] = "MEMSNAPD_LISTEN_FD=/f";
	w->scene.argv[1] = "--store-path=/s";
	return w;
}

static int walk_body(void *state)
{
	struct walk *w = state;

	return scene_try(&w->scene, &w->config);
}

static void walk_verify(void *state, int rc, const char *name)
{
	struct walk *w = state;

	if (!name || rc == 0) {
		CHECK(rc == 0 && w->config);
		EXPECT(w->config->listen.sockets.count == 2);
		EXPECT(strcmp(w->config->roles.operate.at[1].tenant, "y") == 0);
		EXPECT(strcmp(w->config->store.path, "/s") == 0);
		EXPECT(w->scene.problem_count == 0);
	} else {
		EXPECT(!w->config);
		EXPECT(w->scene.why.kind != MSN_FAILURE_NONE);
		EXPECT(rc == -ENOMEM || strcmp(name, "trusted.read") == 0);
		EXPECT(rc != -ENOMEM ||
		       strcmp(w->scene.why.text, "cannot load the "
						 "configuration: Cannot "
						 "allocate memory") == 0 ||
		       strcmp(w->scene.why.text, "cannot read the command "
						 "line: Cannot allocate "
						 "memory") == 0);
	}
	msn_config_unref(w->config);
	scene_close(&w->scene);
	free(w);
}

static void without_memory_there_is_no_configuration(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) > 100);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(without_any_source_the_table_holds),
		CHECK_TEST(later_sources_replace_earlier_ones),
		CHECK_TEST(drop_ins_are_read_by_name_across_folders),
		CHECK_TEST(a_file_that_is_named_stands_alone),
		CHECK_TEST(
			a_list_of_one_source_adds_up_and_replaces_earlier_ones),
		CHECK_TEST(of_a_value_that_is_set_twice_the_later_counts),
		CHECK_TEST(an_empty_value_empties_a_list),
		CHECK_TEST(nothing_between_commas_is_refused),
		CHECK_TEST(comments_blanks_and_line_ends_do_not_count),
		CHECK_TEST(what_is_no_line_is_refused),
		CHECK_TEST(a_line_that_would_be_cut_is_refused),
		CHECK_TEST(an_unknown_name_gets_the_nearest),
		CHECK_TEST(an_unknown_variable_is_refused),
		CHECK_TEST(a_command_line_that_makes_no_sense_is_refused),
		CHECK_TEST(every_problem_is_told_and_the_first_is_the_failure),
		CHECK_TEST(what_makes_no_sense_together_is_refused),
		CHECK_TEST(a_file_that_anybody_may_write_is_refused),
		CHECK_TEST(what_is_no_text_file_is_refused),
		CHECK_TEST(without_memory_there_is_no_configuration),
		{}
	};

	return check_main(argc, argv, "config_load", tests);
}
