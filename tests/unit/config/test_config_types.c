/*
 * Values of settings: what is one, what is none, and what the line says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config_scene.h"
#include "support/check.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define HERE "/etc/memsnap/memsnapd.conf:2: "

/* Loads "[section]\nname = value". */
static bool takes(struct scene *s, const char *section, const char *name,
		  const char *value)
{
	char text[512];

	snprintf(text, sizeof(text), "[%s]\n%s = %s\n", section, name, value);
	scene_file(s, ETC, text);
	return scene_load(s);
}

/* Is it refused, with "section.name: 'value' wrong"? */
static bool is_wrong(struct scene *s, const char *section, const char *name,
		     const char *value, const char *wrong)
{
	char text[512], line[600];

	snprintf(text, sizeof(text), "[%s]\n%s = %s\n", section, name, value);
	snprintf(line, sizeof(line), HERE "%s.%s: '%s' %s", section, name,
		 value, wrong);
	return refused(s, text, line);
}

static void numbers_have_bounds(void)
{
	struct scene s;

	scene_open(&s);
	CHECK(takes(&s, "service", "workers", "1"));
	EXPECT(s.config->service.workers == 1);
	CHECK(takes(&s, "service", "workers", "1024"));
	EXPECT(s.config->service.workers == 1024);
	EXPECT(is_wrong(&s, "service", "workers", "0",
			"is out of bounds: from 1 to 1024"));
	EXPECT(is_wrong(&s, "service", "workers", "1025",
			"is out of bounds: from 1 to 1024"));
	EXPECT(is_wrong(&s, "service", "workers", "-1",
			"is no number: digits and nothing else"));
	EXPECT(is_wrong(&s, "service", "workers", "",
			"is no number: digits and nothing else"));
	EXPECT(is_wrong(&s, "service", "workers", "8 9",
			"is no number: digits and nothing else"));
	EXPECT(is_wrong(&s, "service", "workers", "18446744073709551617",
			"is no number: digits and nothing else"));
	scene_close(&s);
}

static void limits_may_be_none(void)
{
	struct scene s;

	scene_open(&s);
	CHECK(takes(&s, "quota", "owner_spaces", "unlimited"));
	EXPECT(s.config->quota.owner.spaces == MSN_CONFIG_UNLIMITED);
	CHECK(takes(&s, "quota", "owner_spaces", "0"));
	EXPECT(s.config->quota.owner.spaces == 0);
	EXPECT(is_wrong(&s, "quota", "owner_spaces", "none",
			"is no limit: a number, or unlimited"));
	EXPECT(is_wrong(&s, "quota", "owner_operations", "0",
			"is out of bounds: from 1 to 1048576"));
	scene_close(&s);
}

static void sizes_have_units(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "1048576", 1 << 20 },
		{ "1024K", 1 << 20 },
		{ "3m", 3 << 20 },
		{ "2G", UINT64_C(2) << 30 },
		{ "1024T", UINT64_C(1024) << 40 },
		{ "unlimited", MSN_CONFIG_UNLIMITED },
	};
	static const char *const bad[] = {
		"1 G", "G",    "1.5G",		 "1KiB",
		"1P",  "0x10", "9999999999999T", "1G1M"
	};
	struct scene s;

	scene_open(&s);
	for (size_t i = 0; i < MSN_ARRAY_LEN(good); i++) {
		CHECK(takes(&s, "quota", "owner_memory", good[i].text));
		EXPECT(s.config->quota.owner.memory_bytes == good[i].bytes);
	}
	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++)
		EXPECT(is_wrong(&s, "quota", "owner_memory", bad[i],
				"is no size: a number of bytes, or with K, M, "
				"G or T, or unlimited"));
	EXPECT(is_wrong(&s, "quota", "owner_memory", "4096",
			"is out of bounds: from 1M to 1024T"));
	EXPECT(is_wrong(&s, "quota", "owner_memory", "1025T",
			"is out of bounds: from 1M to 1024T"));
	scene_close(&s);
}

static void durations_have_units(void)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {
		{ "0s", 0 },
		{ "250ms", 250 },
		{ "30s", 30000 },
		{ "2min", 120000 },
		{ "1h 30min", 5400000 },
		{ "1h30S", 3630000 },
		{ "1d", 86400000 },
	};
	static const char *const bad[] = { "30",
					   "",
					   "s",
					   "1m",
					   "-1s",
					   "1s x",
					   "99999999999999999999s",
					   "213503982335d" };
	struct scene s;

	scene_open(&s);
	for (size_t i = 0; i < MSN_ARRAY_LEN(good); i++) {
		CHECK(takes(&s, "service", "drain_timeout", good[i].text));
		EXPECT(s.config->service.drain_timeout_ms == good[i].ms);
	}
	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++)
		EXPECT(is_wrong(
			&s, "service", "drain_timeout", bad[i],
			"is no duration: a number with ms, s, min, h or "
			"d, or several: 1h 30min"));
	EXPECT(is_wrong(&s, "service", "drain_timeout", "25h",
			"is out of bounds: from 0ms to 1d"));
	scene_close(&s);
}

static void modes_are_octal(void)
{
	static const char *const bad[] = { "66", "668", "1777", "rw", "00660" };
	struct scene s;

	scene_open(&s);
	CHECK(takes(&s, "listen", "unix_mode", "0640"));
	EXPECT(s.config->listen.socket_mode == 0640);
	CHECK(takes(&s, "listen", "unix_mode", "600"));
	EXPECT(s.config->listen.socket_mode == 0600);
	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++)
		EXPECT(is_wrong(&s, "listen", "unix_mode", bad[i],
				"is no mode: three octal digits, such as "
				"0660"));
	scene_close(&s);
}

static void groups_are_names_or_numbers(void)
{
	struct scene s;

	scene_open(&s);
	CHECK(takes(&s, "listen", "unix_group", ""));
	EXPECT(s.config->listen.socket_group == MSN_CONFIG_NO_GROUP);
	CHECK(takes(&s, "listen", "unix_group", "4711"));
	EXPECT(s.config->listen.socket_group == 4711);
	CHECK(takes(&s, "listen", "unix_group", "root"));
	EXPECT(s.config->listen.socket_group == 0);
	EXPECT(is_wrong(&s, "listen", "unix_group", "nosuchgroup",
			"is no group of this host, by name or number"));
	EXPECT(is_wrong(&s, "listen", "unix_group", "4294967295",
			"is no group of this host, by name or number"));
	scene_close(&s);
}

static void words_are_those_that_are_listed(void)
{
	struct scene s;

	scene_open(&s);
	CHECK(takes(&s, "log", "format", "json"));
	EXPECT(s.config->log.format == MSN_LOG_JSON);
	CHECK(takes(&s, "log", "level", "error"));
	EXPECT(s.config->log.level == MSN_LOG_ERROR);
	EXPECT(is_wrong(&s, "log", "format", "xml",
			"is none of auto, journal, logfmt, json"));
	EXPECT(is_wrong(&s, "log", "level", "Debug",
			"is none of error, warning, info, debug"));
	CHECK(takes(&s, "service", "watchdog", "off"));
	EXPECT(!s.config->service.watchdog);
	CHECK(takes(&s, "service", "watchdog", "True"));
	EXPECT(s.config->service.watchdog);
	EXPECT(is_wrong(&s, "service", "watchdog", "maybe",
			"is neither yes nor no"));
	scene_close(&s);
}

static void paths_are_whole_and_plain(void)
{
	static const char *const bad[] = { "store", "/a/../b", "/a/./b",
					   "/a//b", "/a/",     "//",
					   "/a/..", "~/x" };
	struct scene s;

	scene_open(&s);
	CHECK(takes(&s, "store", "path", "/srv/two\\ words\\,x\\\\y"));
	EXPECT(strcmp(s.config->store.path, "/srv/two words,x\\y") == 0);
	CHECK(takes(&s, "store", "path", "/a/..b/.c/d..."));
	CHECK(takes(&s, "listen", "tls_client_ca", ""));
	EXPECT(strcmp(s.config->listen.tls_client_ca, "") == 0);
	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++)
		EXPECT(is_wrong(&s, "store", "path", bad[i],
				"is no path that begins with / and has no . "
				"or .. in it"));
	EXPECT(is_wrong(&s, "store", "path", "/a b",
			"is not one word; put a backslash before a blank that "
			"belongs to it"));
	EXPECT(is_wrong(&s, "store", "path", "/a\\b",
			"has a backslash before something else than comma, "
			"blank and backslash"));
	scene_close(&s);
}

static void a_socket_has_room_for_its_path(void)
{
	char path[109];
	struct scene s;

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	scene_open(&s);
	EXPECT(is_wrong(&s, "listen", "unix", path,
			"is too long for a socket: 107 bytes at most"));
	path[107] = '\0';
	EXPECT(takes(&s, "listen", "unix", path));
	scene_close(&s);
}

static bool is_at(const struct msn_config_address *a, const char *host,
		  unsigned port)
{
	const struct sockaddr_in *v4 = (const void *)&a->sa;
	const struct sockaddr_in6 *v6 = (const void *)&a->sa;
	bool six = a->sa.ss_family == AF_INET6;
	char text[INET6_ADDRSTRLEN];

	inet_ntop(a->sa.ss_family,
		  six ? (const void *)&v6->sin6_addr
		      : (const void *)&v4->sin_addr,
		  text, sizeof(text));
	return !a->path && strcmp(text, host) == 0 &&
	       ntohs(six ? v6->sin6_port : v4->sin_port) == port &&
	       a->sa_len == (six ? sizeof(*v6) : sizeof(*v4));
}

#define TOKENS "[roles]\ntokens = /t\n[listen]\n"

static void without_tls_only_this_host_is_served(void)
{
	static const char *const far[] = { "0.0.0.0:7700", "10.0.0.1:7700",
					   "[::]:7700", "[fe80::1]:7700",
					   "[::ffff:10.0.0.1]:7700" };
	struct scene s;

	scene_open(&s);
	scene_file(&s, ETC,
		   TOKENS "tcp = 127.0.0.1:7700, [::1]:0\n"
			  "tcp = 127.9.9.9:65535\n");
	CHECK(scene_load(&s));
	CHECK(s.config->listen.tcp.count == 3);
	EXPECT(is_at(&s.config->listen.tcp.at[0], "127.0.0.1", 7700));
	EXPECT(is_at(&s.config->listen.tcp.at[1], "::1", 0));
	EXPECT(is_at(&s.config->listen.tcp.at[2], "127.9.9.9", 65535));
	for (size_t i = 0; i < MSN_ARRAY_LEN(far); i++)
		EXPECT(is_wrong(&s, "listen", "tcp", far[i],
				"is not on this host alone: without TLS only "
				"127.0.0.1 and [::1] are served (see "
				"listen.tls)"));
	for (size_t i = 0; i < MSN_ARRAY_LEN(far); i++)
		EXPECT(is_wrong(&s, "listen", "metrics", far[i],
				"is not on this host alone: without TLS only "
				"127.0.0.1 and [::1] are served (see "
				"listen.tls)"));
	CHECK(takes(&s, "listen", "metrics", "/run/m.sock, 127.0.0.1:9"));
	EXPECT(strcmp(s.config->listen.metrics.at[0].path, "/run/m.sock") == 0);
	EXPECT(is_at(&s.config->listen.metrics.at[1], "127.0.0.1", 9));
	scene_close(&s);
}

static void addresses_are_numbers_with_a_port(void)
{
	static const char *const bad[] = { "localhost:7700", "127.0.0.1",
					   "127.0.0.1:",     "127.0.0.1:65536",
					   "127.0.0.1:x",    "::1:7700",
					   "[::1]",	     "[127.0.0.1]:1",
					   ":7700",	     "1.2.3:4" };
	struct scene s;

	scene_open(&s);
	scene_file(&s, ETC,
		   TOKENS "tls = 0.0.0.0:7701, [2001:db8::1]:7701\n"
			  "tls_certificate = /c\ntls_key = /k\n");
	CHECK(scene_load(&s));
	EXPECT(is_at(&s.config->listen.tls.at[1], "2001:db8::1", 7701));
	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++)
		EXPECT(is_wrong(&s, "listen", "tls", bad[i],
				"is no address: numbers and a port, such as "
				"127.0.0.1:7700 or [::1]:7700"));
	scene_close(&s);
}

static void subjects_are_users_groups_and_certificates(void)
{
	struct scene s;
	const struct msn_config_subject *who;

	scene_open(&s);
	scene_file(&s, ETC,
		   "[listen]\ntls_client_ca = /ca\n[roles]\n"
		   "operate = any, uid:1000, user:root, gid:20, group:root\n"
		   "operate = uri:spiffe://a/b\\,c?x=y tenant:acme\n"
		   "operate = dns:ci.example.org   tenant:ci-1\n");
	CHECK(scene_load(&s));
	CHECK(s.config->roles.operate.count == 7);
	who = s.config->roles.operate.at;
	EXPECT(who[0].kind == MSN_CONFIG_ANY);
	EXPECT(who[1].kind == MSN_CONFIG_UID && who[1].id == 1000);
	EXPECT(who[2].kind == MSN_CONFIG_UID && who[2].id == 0);
	EXPECT(who[3].kind == MSN_CONFIG_GID && who[3].id == 20);
	EXPECT(who[4].kind == MSN_CONFIG_GID && who[4].id == 0);
	EXPECT(who[5].kind == MSN_CONFIG_URI &&
	       strcmp(who[5].name, "spiffe://a/b,c?x=y") == 0 &&
	       strcmp(who[5].tenant, "acme") == 0);
	EXPECT(who[6].kind == MSN_CONFIG_DNS &&
	       strcmp(who[6].name, "ci.example.org") == 0 &&
	       strcmp(who[6].tenant, "ci-1") == 0);
	scene_close(&s);
}

static void whoever_is_no_subject_is_refused(void)
{
	static const char nobody[] =
		"is nobody: any, user:NAME, uid:N, group:NAME, gid:N, or "
		"uri:NAME or dns:NAME with tenant:NAME";
	static const char tenant[] =
		"needs a name, and behind it tenant:NAME of up to 63 of a-z, "
		"0-9, dots, dashes and underscores";
	static const char *const odd[] = { "root", "user", "1000", "UID:1",
					   "everyone" };
	static const char *const bare[] = { "dns:x",	       "dns:x acme",
					    "dns: tenant:a",   "uri:x tenant:",
					    "uri:x tenant:-a", "uri:x tenant:A",
					    "uri:x tenant:a b" };
	struct scene s;

	scene_open(&s);
	for (size_t i = 0; i < MSN_ARRAY_LEN(odd); i++)
		EXPECT(is_wrong(&s, "roles", "read", odd[i], nobody));
	for (size_t i = 0; i < MSN_ARRAY_LEN(bare); i++)
		EXPECT(is_wrong(&s, "roles", "read", bare[i], tenant));
	EXPECT(is_wrong(&s, "roles", "read", "user:nosuchuser",
			"names no user of this host"));
	EXPECT(is_wrong(&s, "roles", "read", "gid:-1",
			"names no group of this host"));
	EXPECT(is_wrong(&s, "roles", "read", "uid:1 uid:2",
			"is more than one word; elements have commas between "
			"them"));
	scene_close(&s);
}

static void roots_have_rights_and_a_role(void)
{
	struct scene s;
	const struct msn_config_root *root;

	scene_open(&s);
	scene_file(&s, ETC,
		   "[files]\n"
		   "allow = /srv/images ro role:read, /var/x\\ y rw\n"
		   "allow = /\nallow = /z role:admin rw\n");
	CHECK(scene_load(&s));
	CHECK(s.config->files.allow.count == 4);
	root = s.config->files.allow.at;
	EXPECT(strcmp(root[0].path, "/srv/images") == 0 && !root[0].writable &&
	       root[0].role == MSN_ROLE_READ);
	EXPECT(strcmp(root[1].path, "/var/x y") == 0 && root[1].writable &&
	       root[1].role == MSN_ROLE_OPERATE);
	EXPECT(strcmp(root[2].path, "/") == 0 && !root[2].writable);
	EXPECT(root[3].writable && root[3].role == MSN_ROLE_ADMIN);
	EXPECT(is_wrong(&s, "files", "allow", "/a rx",
			"has something else than ro, rw and role:read, "
			"role:operate or role:admin behind the path"));
	EXPECT(is_wrong(&s, "files", "allow", "/a role:none",
			"has something else than ro, rw and role:read, "
			"role:operate or role:admin behind the path"));
	EXPECT(is_wrong(&s, "files", "allow", "srv",
			"is no path that begins with / and has no . or .. in "
			"it"));
	scene_close(&s);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(numbers_have_bounds),
		CHECK_TEST(limits_may_be_none),
		CHECK_TEST(sizes_have_units),
		CHECK_TEST(durations_have_units),
		CHECK_TEST(modes_are_octal),
		CHECK_TEST(groups_are_names_or_numbers),
		CHECK_TEST(words_are_those_that_are_listed),
		CHECK_TEST(paths_are_whole_and_plain),
		CHECK_TEST(a_socket_has_room_for_its_path),
		CHECK_TEST(without_tls_only_this_host_is_served),
		CHECK_TEST(addresses_are_numbers_with_a_port),
		CHECK_TEST(subjects_are_users_groups_and_certificates),
		CHECK_TEST(whoever_is_no_subject_is_refused),
		CHECK_TEST(roots_have_rights_and_a_role),
		{}
	};

	return check_main(argc, argv, "config_types", tests);
}
