/*
 * query-nfv-migration
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-nfv.h"
#include "migration/nfv.h"
#include "drain.h"
#include "heat.h"
#include "postcopy.h"
#include "promise.h"
#include "report.h"

static NfvMigrationPeer peer(void)
{
    switch (nfv_migration_last_peer()) {
    case NFV_PEER_NFV:
        return NFV_MIGRATION_PEER_NFV;
    case NFV_PEER_STOCK:
        return NFV_MIGRATION_PEER_STOCK;
    case NFV_PEER_UNKNOWN:
    default:
        return NFV_MIGRATION_PEER_UNKNOWN;
    }
}

NfvMigrationInfo *qmp_query_nfv_migration(Error **errp)
{
    const NfvMigrationSettings *settings = nfv_migration_settings();
    NfvMigrationInfo *info = g_new0(NfvMigrationInfo, 1);
    int64_t drain = nfv_drain_time(), waited = nfv_promise_waited();

    info->peer = peer();
    info->holes = nfv_popmap_holes(&info->holes_left_out);
    info->deferred = nfv_heat_deferred();
    info->limit = nfv_promise_limit();
    info->max_downtime = settings->max_downtime;
    info->deadline = settings->deadline;
    info->on_deadline = settings->on_deadline;
    info->deadline_passed = nfv_promise_deadline_passed();
    info->postcopy_obstacle = g_strdup(nfv_postcopy_obstacle());
    info->has_drain_time = drain >= 0;
    info->drain_time = MAX(drain, 0);
    info->rounds = nfv_policy_rounds(&info->decisions);
    info->result = nfv_promise_result();
    info->stalls = nfv_stall_report();
    info->has_waited = waited >= 0;
    info->waited = MAX(waited, 0);
    return info;
}
