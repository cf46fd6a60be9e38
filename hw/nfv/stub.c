/*
 * QMP commands of the nfv machine where none is built in
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-nfv.h"

NfvInfo *coroutine_fn qmp_query_nfv(Error **errp)
{
    error_setg(errp, "query-nfv: this QEMU has no nfv machine");
    return NULL;
}

void coroutine_fn qmp_nfv_set_placement(NfvPlacement *arg, Error **errp)
{
    error_setg(errp, "nfv-set-placement: this QEMU has no nfv machine");
}
