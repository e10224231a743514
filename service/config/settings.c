/*
 * The table: what there is to set, once.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A row here and its member in config.h are a setting; memsnapd.conf(5) must
 * name it too, a test says.
 */
#include "settings.h"

#include "base/limits.h"
#include "types.h"

#include <string.h>

#define AT(member) .offset = offsetof(struct msn_config, member)
#define M (UINT64_C(1) << 20)
#define T (UINT64_C(1) << 40)

static const struct msn_config_setting settings[] = {
	/* ---- listen ---- */
	{ "listen", "unix", &msn_config_socket, "/run/memsnap/memsnapd.sock",
	  "Sockets to listen on", .list = true, .restart = true,
	  AT(listen.sockets) },
	{ "listen", "unix_mode", &msn_config_mode, "0660",
	  "Who may connect to them, as a file mode", .restart = true,
	  AT(listen.socket_mode) },
	{ "listen", "unix_group", &msn_config_group, "",
	  "Group that they belong to; none: the service's", .restart = true,
	  AT(listen.socket_group) },
	{ "listen", "tcp", &msn_config_loopback, "",
	  "Loopback addresses to listen on without TLS; callers need a token",
	  .list = true, .restart = true, AT(listen.tcp) },
	{ "listen", "tls", &msn_config_address, "",
	  "Addresses to listen on with TLS; callers need a certificate or a "
	  "token",
	  .list = true, .restart = true, AT(listen.tls) },
	{ "listen", "tls_certificate", &msn_config_path_or_none, "",
	  "The service's certificate and its chain, PEM", .restart = true,
	  AT(listen.tls_certificate) },
	{ "listen", "tls_key", &msn_config_path_or_none, "",
	  "The key of that certificate, PEM", .restart = true,
	  AT(listen.tls_key) },
	{ "listen", "tls_client_ca", &msn_config_path_or_none, "",
	  "Certificates of those who sign callers' certificates, PEM; none: "
	  "callers are not asked for one",
	  .restart = true, AT(listen.tls_client_ca) },
	{ "listen", "fd", &msn_config_socket_or_none, "/run/memsnap/fd.sock",
	  "Socket over which descriptors are moved for gRPC callers; none: "
	  "they are not",
	  .restart = true, AT(listen.fd_socket) },
	{ "listen", "metrics", &msn_config_scrape, "",
	  "Loopback addresses or sockets that serve /metrics and /healthz and "
	  "nothing else",
	  .list = true, .restart = true, AT(listen.metrics) },

	/* ---- store ---- */
	{ "store", "path", &msn_config_path, "/var/lib/memsnap/store",
	  "Folder of the store; made when it is missing", .restart = true,
	  AT(store.path) },

	/* ---- service ---- */
	{ "service", "workers", &msn_config_number, "16",
	  "Threads for calls and operations that block, at most", .min = 1,
	  .max = 1024, .restart = true, AT(service.workers) },
	{ "service", "drain_timeout", &msn_config_duration, "30s",
	  "How long calls may go on when the service is told to end", .min = 0,
	  .max = 86400000, AT(service.drain_timeout_ms) },
	{ "service", "watchdog", &msn_config_bool, "yes",
	  "Tell systemd's watchdog, if there is one, that the service is "
	  "alive",
	  .restart = true, AT(service.watchdog) },

	/* ---- quota ---- */
	{ "quota", "owner_spaces", &msn_config_limit, "1000",
	  "Spaces of one owner", AT(quota.owner.spaces) },
	{ "quota", "owner_memory", &msn_config_size_limit, "unlimited",
	  "Memory of one owner's spaces", .min = M, .max = 1024 * T,
	  AT(quota.owner.memory_bytes) },
	{ "quota", "owner_snapshots", &msn_config_limit, "unlimited",
	  "Snapshots of one owner", AT(quota.owner.snapshots) },
	{ "quota", "owner_operations", &msn_config_limit, "64",
	  "Operations of one owner that are under way", .min = 1, .max = M,
	  AT(quota.owner.operations) },
	{ "quota", "owner_connections", &msn_config_limit, "1024",
	  "Connections of one owner", .min = 1, .max = M, .restart = true,
	  AT(quota.owner.connections) },
	{ "quota", "owner_requests_per_second", &msn_config_limit, "unlimited",
	  "Calls of one owner in a second", .min = 1, .max = 1000 * M,
	  .restart = true, AT(quota.owner.requests_per_second) },
	{ "quota", "total_spaces", &msn_config_limit, "unlimited",
	  "Spaces of all owners", AT(quota.total.spaces) },
	{ "quota", "total_memory", &msn_config_size_limit, "unlimited",
	  "Memory of all spaces", .min = M, .max = 1024 * T,
	  AT(quota.total.memory_bytes) },
	{ "quota", "total_snapshots", &msn_config_limit, "unlimited",
	  "Snapshots of all owners", AT(quota.total.snapshots) },
	{ "quota", "total_operations", &msn_config_limit, "1024",
	  "Operations of all owners that are under way", .min = 1, .max = M,
	  AT(quota.total.operations) },
	{ "quota", "total_connections", &msn_config_limit, "16384",
	  "Connections of all owners", .min = 1, .max = M, .restart = true,
	  AT(quota.total.connections) },
	{ "quota", "total_requests_per_second", &msn_config_limit, "unlimited",
	  "Calls of all owners in a second", .min = 1, .max = 1000 * M,
	  .restart = true, AT(quota.total.requests_per_second) },

	{ "quota", "space_memory", &msn_config_size_limit, "unlimited",
	  "Memory of one space, unless it asks for less", .min = M,
	  .max = 1024 * T, AT(quota.space.memory_bytes) },
	{ "quota", "space_mapped", &msn_config_size_limit, "unlimited",
	  "Addresses that one space may have mapped, unless it asks for less",
	  .min = M, .max = 1024 * T, AT(quota.space.mapped_bytes) },
	{ "quota", "space_mappings", &msn_config_limit, "1310600",
	  "Mappings of one space, unless it asks for less", .min = 1,
	  .max = MSN_MAPPING_COUNT_MAX, AT(quota.space.mappings) },

	/* ---- files ---- */
	{ "files", "allow", &msn_config_root, "",
	  "Folders whose files callers may have opened by path, with the "
	  "caller's own rights: a path, then ro or rw, and role:ROLE that a "
	  "caller must have (ro role:operate)",
	  .list = true, AT(files.allow) },

	/* ---- roles ---- */
	{ "roles", "read", &msn_config_subject, "",
	  "Who may look at what is theirs", .list = true, AT(roles.read) },
	{ "roles", "operate", &msn_config_subject, "any",
	  "Who may also make and change it", .list = true, AT(roles.operate) },
	{ "roles", "admin", &msn_config_subject, "",
	  "Who may also administrate the service; root and the service's own "
	  "user always may",
	  .list = true, AT(roles.admin) },
	{ "roles", "tokens", &msn_config_path_or_none, "",
	  "File of tokens, the roles and the tenants that they stand for",
	  AT(roles.tokens) },

	/* ---- log ---- */
	{ "log", "format", &msn_config_log_format, "auto",
	  "How the log is written: auto, journal, logfmt or json",
	  AT(log.format) },
	{ "log", "level", &msn_config_log_level, "info",
	  "How much is logged: error, warning, info or debug", AT(log.level) },

	/* ---- keep ---- */
	{ "keep", "events", &msn_config_number, "10000",
	  "Events that are kept for subscribers who come back", .min = 1,
	  .max = 10 * M, .restart = true, AT(keep.events) },
	{ "keep", "operations", &msn_config_number, "1000",
	  "Operations that are kept after they ended", .min = 1, .max = M,
	  .restart = true, AT(keep.operations) },
};

_Static_assert(MSN_ARRAY_LEN(settings) == MSN_CONFIG_SETTINGS,
	       "the number of settings is known to those who keep one each");

const struct msn_config_setting *msn_config_settings(size_t *count)
{
	*count = MSN_ARRAY_LEN(settings);
	return settings;
}

const char *msn_config_setting_argument(const struct msn_config_setting *s)
{
	return s->type->argument;
}

size_t msn_config_index(const struct msn_config_setting *s)
{
	return (size_t)(s - settings);
}

const struct msn_config_setting *msn_config_find(const char *section,
						 const char *name)
{
	for (size_t i = 0; i < MSN_ARRAY_LEN(settings); i++)
		if (strcmp(settings[i].section, section) == 0 &&
		    strcmp(settings[i].name, name) == 0)
			return &settings[i];
	return NULL;
}

bool msn_config_has_section(const char *section)
{
	for (size_t i = 0; i < MSN_ARRAY_LEN(settings); i++)
		if (strcmp(settings[i].section, section) == 0)
			return true;
	return false;
}
