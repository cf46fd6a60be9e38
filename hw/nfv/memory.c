/*
 * Which memory the guest gets: size of its pages, where they are, populated and
 * locked or not
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/units.h"
#include "hw/nfv/memory.h"

/* The property's own spelling of a page size. */
static char *short_size(uint64_t size)
{
    return size >= GiB ? g_strdup_printf("%" PRIu64 "G", size / GiB) :
                         g_strdup_printf("%" PRIu64 "M", size / MiB);
}

char *nfv_memory_format_hugepages(const NfvMemoryConfig *config)
{
    return config->page_size ? short_size(config->page_size) :
                               g_strdup(OnOffAuto_str(config->hugepages));
}

bool nfv_memory_parse_hugepages(NfvMemoryConfig *config, const char *value,
                                Error **errp)
{
    int word = qapi_enum_parse(&OnOffAuto_lookup, value, -1, NULL);
    uint64_t size;

    if (word >= 0) {
        config->hugepages = word;
        config->page_size = 0;
        return true;
    }
    if (qemu_strtosz(value, NULL, &size) ||
        (size != 2 * MiB && size != 1 * GiB)) {
        error_setg(errp,
                   "hugepages=%s is not valid; valid are auto, on, off, 2M and "
                   "1G",
                   value);
        return false;
    }
    config->hugepages = ON_OFF_AUTO_ON;
    config->page_size = size;
    return true;
}

static void shortfall_clear(NfvShortfall *s)
{
    g_clear_pointer(&s->why, g_free);
    g_clear_pointer(&s->remedy, g_free);
}

void nfv_memory_plan_free(NfvMemoryPlan *plan)
{
    if (plan) {
        shortfall_clear(&plan->hugepages);
        shortfall_clear(&plan->prealloc);
        g_free(plan);
    }
}

/* Huge pages */

/* On which nodes pages count: those to bind to, else all. */
static const NfvNodeSet *nodes_of(const NfvMemoryNeed *need,
                                  const NfvMemoryHost *host)
{
    return NFV_NODESET_EMPTY(&need->nodes) ? &host->nodes : &need->nodes;
}

static uint64_t free_pages(const NfvPool *pool, const NfvNodeSet *nodes)
{
    uint64_t all = pool->free - MIN(pool->free, pool->reserved), some = 0;
    unsigned node;

    if (NFV_NODESET_EMPTY(nodes)) {
        return all;
    }
    NFV_NODESET_FOREACH(node, nodes)
    {
        some += pool->node_free[node];
    }
    /* A promised page may be taken on any node. */
    return MIN(all, some);
}

/* "100 on node 0, 50 on node 1" */
static char *describe_free(const NfvPool *pool, const NfvMemoryHost *host)
{
    GString *text = g_string_new(NULL);
    unsigned node;

    NFV_NODESET_FOREACH(node, &host->nodes)
    {
        g_string_append_printf(text, "%s%" PRIu64 " on node %u",
                               text->len ? ", " : "", pool->node_free[node],
                               node);
    }
    if (!text->len) {
        g_string_append_printf(text, "%" PRIu64, pool->free);
    }
    if (pool->reserved) {
        g_string_append_printf(text, ", %" PRIu64 " of them promised to others",
                               pool->reserved);
    }
    return g_string_free(text, false);
}

/*
 * The command that reserves what is missing: on the first of the nodes, for
 * the user to divide as he likes.
 */
static char *reserve_command(const NfvPool *pool, const NfvMemoryNeed *need,
                             uint64_t missing)
{
    g_autofree char *dir = NULL;
    uint64_t total = pool->total;

    if (NFV_NODESET_EMPTY(&need->nodes)) {
        dir = g_strdup("/sys/kernel/mm");
    } else {
        unsigned node = find_first_bit(need->nodes.bits, NFV_NODES);

        dir = g_strdup_printf("/sys/devices/system/node/node%u", node);
        total = pool->node_total[node];
    }
    return g_strdup_printf("echo %" PRIu64 " > %s/hugepages/hugepages-%" PRIu64
                           "kB/nr_hugepages",
                           total + missing, dir, pool->page_size / KiB);
}

/* Whether the guest fits into @pool; else say in @s why it does not. */
static bool pool_fits(const NfvPool *pool, const NfvMemoryNeed *need,
                      const NfvMemoryHost *host, NfvShortfall *s)
{
    const NfvNodeSet *nodes = nodes_of(need, host);
    uint64_t wanted = need->size / pool->page_size;
    uint64_t found = free_pages(pool, nodes);
    g_autofree char *size = short_size(pool->page_size);

    if (!pool->present) {
        s->why =
            g_strdup_printf("this host's kernel has no huge pages of %s", size);
        s->remedy = g_strdup("use another size, a kernel with hugetlbfs, or a "
                             "host CPU that has it");
    } else if (need->size % pool->page_size) {
        s->why = g_strdup_printf("the guest's memory of %" PRIu64 " MiB is not "
                                 "a multiple of %s",
                                 need->size / MiB, size);
        s->remedy =
            g_strdup_printf("give the guest -m %" PRIu64 "M",
                            ROUND_UP(need->size, pool->page_size) / MiB);
    } else if (found < wanted) {
        bool bound = !NFV_NODESET_EMPTY(&need->nodes);
        g_autofree char *where = nfv_nodeset_format(&need->nodes);
        g_autofree char *text = describe_free(pool, host);

        s->why =
            g_strdup_printf("the guest needs %" PRIu64 " huge pages of %s"
                            "%s%s; free are %s",
                            wanted, size, bound ? " on host NUMA node " : "",
                            bound ? where : "", text);
        s->remedy = reserve_command(pool, need, wanted - found);
    }
    return !s->why;
}

/*
 * The sizes that fit, 2 MiB first: with 1 GiB pages there is no post-copy.
 * What speaks against the smallest one that was asked for is kept in @s.
 */
static unsigned find_pools(const NfvMemoryConfig *config,
                           const NfvMemoryNeed *need, const NfvMemoryHost *host,
                           uint64_t sizes[NFV_POOLS], NfvShortfall *s)
{
    unsigned count = 0;

    if (config->hugepages == ON_OFF_AUTO_OFF) {
        return 0;
    }
    for (int i = 0; i < NFV_POOLS; i++) {
        const NfvPool *pool = &host->pools[i];
        NfvShortfall this = { 0 };

        if (config->page_size && config->page_size != pool->page_size) {
            continue;
        }
        if (pool_fits(pool, need, host, &this)) {
            sizes[count++] = pool->page_size;
        } else if (!s->why) {
            *s = this;
        } else {
            shortfall_clear(&this);
        }
    }
    if (count) {
        shortfall_clear(s);
    }
    return count;
}

/* Populating */

static void check_available(const NfvMemoryNeed *need,
                            const NfvMemoryHost *host, NfvShortfall *s)
{
    if (need->size > host->available) {
        s->why = g_strdup_printf("the guest's memory of %" PRIu64 " MiB is "
                                 "more than the %" PRIu64 " MiB that this host "
                                 "has available",
                                 need->size / MiB, host->available / MiB);
        s->remedy = g_strdup("give the guest less memory, or raise the limit "
                             "of the cgroup");
    }
}

static bool wants_prealloc(const NfvMemoryConfig *config,
                           const NfvMemoryNeed *need, uint64_t page_size)
{
    if (config->prealloc != ON_OFF_AUTO_AUTO) {
        return config->prealloc == ON_OFF_AUTO_ON;
    }
    /*
     * A huge page that another takes before the guest touches it would end the
     * guest with SIGBUS.
     */
    return need->pinned || page_size;
}

/* The plan */

static void add_try(NfvMemoryPlan *plan, uint64_t page_size, bool bind,
                    bool prealloc)
{
    g_assert(plan->count < ARRAY_SIZE(plan->tries));
    plan->tries[plan->count++] = (NfvMemoryTry) {
        .page_size = page_size,
        .bind = bind,
        .prealloc = prealloc,
    };
}

static void add_tries(NfvMemoryPlan *plan, const NfvMemoryConfig *config,
                      const NfvMemoryNeed *need, const uint64_t *sizes,
                      unsigned count, bool bind)
{
    bool must_huge = config->hugepages == ON_OFF_AUTO_ON;
    bool must_populate = config->prealloc == ON_OFF_AUTO_ON;

    for (unsigned i = 0; i < count; i++) {
        add_try(plan, sizes[i], bind, wants_prealloc(config, need, sizes[i]));
    }
    if (!must_huge && !(must_populate && plan->prealloc.why)) {
        add_try(plan, 0, bind,
                wants_prealloc(config, need, 0) && !plan->prealloc.why);
    }
}

static bool refuse(const char *property, const char *value,
                   const NfvShortfall *s, Error **errp)
{
    ERRP_GUARD();

    error_setg(errp, "%s=%s: %s", property, value, s->why);
    error_append_hint(errp,
                      "To have it: %s\nOr use %s=auto, which does what "
                      "this host allows.\n",
                      s->remedy, property);
    return false;
}

static bool check_plan(const NfvMemoryPlan *plan, const NfvMemoryConfig *config,
                       bool has_huge, Error **errp)
{
    if (config->hugepages == ON_OFF_AUTO_ON && plan->hugepages.why) {
        g_autofree char *value = nfv_memory_format_hugepages(config);

        return refuse("hugepages", value, &plan->hugepages, errp);
    }
    if (config->prealloc == ON_OFF_AUTO_ON && plan->prealloc.why && !has_huge) {
        return refuse("prealloc", "on", &plan->prealloc, errp);
    }
    return true;
}

NfvMemoryPlan *nfv_memory_plan(const NfvMemoryConfig *config,
                               const NfvMemoryNeed *need,
                               const NfvMemoryHost *host, Error **errp)
{
    g_autoptr(NfvMemoryPlan) plan = g_new0(NfvMemoryPlan, 1);
    bool bind = !NFV_NODESET_EMPTY(&need->nodes);
    uint64_t sizes[NFV_POOLS];
    unsigned count = find_pools(config, need, host, sizes, &plan->hugepages);

    /*
     * Huge pages are set aside, and take nothing from what is available; what
     * is tried after them does.
     */
    if (config->hugepages != ON_OFF_AUTO_ON &&
        wants_prealloc(config, need, 0)) {
        check_available(need, host, &plan->prealloc);
    }
    if (!check_plan(plan, config, count, errp)) {
        return NULL;
    }
    if (bind) {
        add_tries(plan, config, need, sizes, count, true);
    }
    add_tries(plan, config, need, sizes, count, false);
    if (config->hugepages != ON_OFF_AUTO_ON &&
        config->prealloc == ON_OFF_AUTO_AUTO &&
        plan->tries[plan->count - 1].prealloc) {
        add_try(plan, 0, false, false);
    }
    return g_steal_pointer(&plan);
}

NfvTuningState nfv_memory_lock(const NfvMemoryConfig *config,
                               const NfvMemoryNeed *need,
                               const NfvMemoryHost *host, bool unplugs,
                               NfvShortfall *s)
{
    bool must = config->lock == ON_OFF_AUTO_ON;

    if (config->lock == ON_OFF_AUTO_OFF || (!must && !need->pinned)) {
        return NFV_TUNING_STATE_OFF;
    }
    if (unplugs) {
        s->why = g_strdup("a virtio-mem device takes memory from the guest, "
                          "which locked memory forbids");
        s->remedy = g_strdup("leave out virtio-mem, or use mem-lock=off");
    } else if (!host->may_lock && host->lock_limit != UINT64_MAX &&
               (!must || host->lock_limit < need->size)) {
        s->why = g_strdup_printf("QEMU may lock %" PRIu64 " KiB "
                                 "(RLIMIT_MEMLOCK) and has no CAP_IPC_LOCK; "
                                 "the guest has %" PRIu64 " KiB",
                                 host->lock_limit / KiB, need->size / KiB);
        s->remedy = g_strdup("ulimit -l unlimited, LimitMEMLOCK=infinity in a "
                             "systemd unit, or with libvirt <memoryBacking>"
                             "<locked/>");
    }
    return s->why ? NFV_TUNING_STATE_UNAVAILABLE : NFV_TUNING_STATE_APPLIED;
}

bool nfv_memory_check(const NfvMemoryConfig *config,
                      const NfvMemoryGiven *given, Error **errp)
{
    ERRP_GUARD();
    g_autofree char *value = nfv_memory_format_hugepages(config);
    bool huge = given->page_size >= 2 * MiB;

    if ((config->hugepages == ON_OFF_AUTO_ON && !huge) ||
        (config->hugepages == ON_OFF_AUTO_OFF && huge) ||
        (config->page_size && config->page_size != given->page_size)) {
        error_setg(errp,
                   "hugepages=%s contradicts memory backend '%s', whose pages "
                   "have %" PRIu64 " KiB",
                   value, given->id, given->page_size / KiB);
        error_append_hint(errp, "Leave hugepages out: a backend of yours is "
                                "used as it is.  Or give it the pages, as in "
                                "-object memory-backend-memfd,hugetlb=on,"
                                "hugetlbsize=2M.\n");
        return false;
    }
    if (config->prealloc != ON_OFF_AUTO_AUTO &&
        (config->prealloc == ON_OFF_AUTO_ON) != given->prealloc) {
        error_setg(errp,
                   "prealloc=%s contradicts memory backend '%s', which "
                   "has prealloc=%s",
                   OnOffAuto_str(config->prealloc), given->id,
                   given->prealloc ? "on" : "off");
        error_append_hint(errp, "Leave prealloc out: a backend of yours is "
                                "used as it is.  Or change the backend.\n");
        return false;
    }
    return true;
}
