/*
 * The memory backends of the guest: made, checked, locked, shown
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sys/resource.h>
#include "qapi/error.h"
#include "qapi/util.h"
#include "qemu/cutils.h"
#include "qemu/thread-context.h"
#include "qemu/units.h"
#include "qom/object_interfaces.h"
#include "exec/cpu-common.h"
#include "hw/boards.h"
#include "hw/mem/memory-device.h"
#include "hw/nfv/ram.h"
#include "hw/virtio/virtio-mem.h"
#include "migration/cpr.h"
#include "system/hostmem.h"
#include "system/os-posix.h"
#include "system/system.h"
#include "trace.h"

/* What was made and asked for, and why it is not in force.  BQL. */
static struct {
    const HostMemoryBackend *made; /* NULL: the user gave all of it */
    NfvMemoryConfig config;
    NfvMemoryNeed need;
    NfvNodeSet nodes; /* of the host */
    NfvShortfall hugepages, bind, prealloc, lock;
    NfvTuningState locking;
} asked = { .locking = NFV_TUNING_STATE_OFF };

/* Make the default RAM */

/* It populates on the vCPUs' host CPUs, which are idle until the guest runs. */
static Object *make_context(const NfvPlan *plan)
{
    g_autofree char *cpus = NULL;
    Object *context;

    if (!plan || plan->refusal == NFV_REFUSAL_SANDBOX) {
        return NULL;
    }
    cpus = nfv_cpulist_format(plan->vcpu_cpus);
    context = object_new(TYPE_THREAD_CONTEXT);
    if (!object_property_parse(context, "cpu-affinity", cpus, NULL) ||
        !user_creatable_complete(USER_CREATABLE(context), NULL)) {
        object_unref(context);
        return NULL; /* then it populates wherever it may run */
    }
    return context;
}

static bool set_properties(Object *backend, const NfvMemoryTry *try,
                           const NfvMemoryNeed *need, Object *context,
                           Error **errp)
{
    g_autofree char *nodes = nfv_nodeset_format(&need->nodes);

    if (try->page_size &&
        (!object_property_set_bool(backend, "hugetlb", true, errp) ||
         !object_property_set_int(backend, "hugetlbsize", try->page_size,
                                  errp))) {
        return false;
    }
    if (try->bind &&
        (!object_property_parse(backend, "host-nodes", nodes, errp) ||
         !object_property_set_str(backend, "policy", "bind", errp))) {
        return false;
    }
    return (!context || object_property_set_link(backend, "prealloc-context",
                                                 context, errp)) &&
           object_property_set_bool(backend,
                                    "x-use-canonical-path-for-"
                                    "ramblock-id",
                                    false, errp) &&
           object_property_set_int(backend, "size", need->size, errp) &&
           (!try->prealloc ||
            object_property_set_bool(backend, "prealloc", true, errp));
}

/*
 * What a failed attempt leaves behind for checkpoint-restart would be reused.
 */
static void forget_file(const char *id)
{
    int fd = cpr_find_fd(id, 0);

    if (fd >= 0) {
        cpr_delete_fd(id, 0);
        close(fd);
    }
}

static bool make_backend(MachineState *ms, const NfvMemoryTry *try,
                         const NfvMemoryNeed *need, const NfvPlan *plan,
                         Error **errp)
{
    const char *id = MACHINE_GET_CLASS(ms)->default_ram_id;
    const char *type =
        try->page_size ? "memory-backend-memfd" : TYPE_MEMORY_BACKEND_RAM;
    g_autoptr(Object) context = try->prealloc ? make_context(plan) : NULL;
    Object *backend;
    bool done;

    if (!object_class_by_name(type)) {
        error_setg(errp, "this host has no memfd_create(2)");
        return false;
    }
    backend = object_new(type);
    object_property_add_child(object_get_objects_root(), id, backend);
    done =
        set_properties(backend, try, need, context, errp) &&
        user_creatable_complete(USER_CREATABLE(backend), errp) &&
        object_property_set_link(OBJECT(ms), "memory-backend", backend, errp);
    /* Its thread ends here. */
    object_property_set_link(backend, "prealloc-context", NULL, NULL);
    if (done) {
        asked.made = MEMORY_BACKEND(backend);
    } else {
        object_unparent(backend);
        forget_file(id);
    }
    object_unref(backend);
    return done;
}

static char *describe_try(const NfvMemoryTry *try)
{
    g_autofree char *pages =
        try->page_size ? size_to_str(try->page_size) : g_strdup("transparent");

    return g_strdup_printf("guest memory in %s huge pages%s%s", pages,
                           try->bind ? ", bound to the vCPUs' NUMA nodes" : "",
                           try->prealloc ? ", populated" : "");
}

/* Remember why the better way failed: it is what the next one leaves out. */
static void note_failure(const NfvMemoryTry *failed, const NfvMemoryTry *next,
                         const char *reason)
{
    NfvShortfall *s = failed->bind && !next->bind          ? &asked.bind :
                      failed->page_size != next->page_size ? &asked.hugepages :
                                                             &asked.prealloc;

    if (!s->why) {
        s->why = g_strdup(reason);
        s->remedy = g_strdup("see what this error means for the host");
    }
    trace_nfv_ram_failed(reason);
}

bool nfv_ram_create(MachineState *ms, const NfvMemoryConfig *config,
                    const NfvMemoryNeed *need, const NfvMemoryHost *host,
                    const NfvPlan *plan, Error **errp)
{
    ERRP_GUARD();
    g_autoptr(NfvMemoryPlan) memory = nfv_memory_plan(config, need, host, errp);

    if (!memory) {
        return false;
    }
    asked.hugepages = memory->hugepages;
    asked.prealloc = memory->prealloc;
    memory->hugepages = memory->prealloc = (NfvShortfall) { 0 };
    for (unsigned i = 0; i < memory->count; i++) {
        const NfvMemoryTry *try = &memory->tries[i];
        g_autofree char *what = describe_try(try);
        Error *err = NULL;

        if (make_backend(ms, try, need, plan, &err)) {
            trace_nfv_ram_created(try->page_size, try->bind, try->prealloc);
            return true;
        }
        if (i + 1 == memory->count) {
            error_prepend(&err, "%s: ", what);
            error_propagate(errp, err);
            return false;
        }
        note_failure(try, try + 1, error_get_pretty(err));
        error_free(err);
    }
    g_assert_not_reached();
}

/* Check backends of the user's */

static bool check_backend(const NfvMemoryConfig *config,
                          HostMemoryBackend *backend, Error **errp)
{
    NfvMemoryGiven given = {
        .id = object_get_canonical_path_component(OBJECT(backend)),
        .page_size = host_memory_backend_pagesize(backend),
        .prealloc = backend->prealloc,
    };

    return nfv_memory_check(config, &given, errp);
}

bool nfv_ram_check_device(const NfvMemoryConfig *config, DeviceState *device,
                          Error **errp)
{
    NfvMemoryConfig pages = *config;
    Object *backend;

    if (!object_dynamic_cast(OBJECT(device), TYPE_MEMORY_DEVICE) ||
        !object_property_find(OBJECT(device), "memdev")) {
        return true;
    }
    backend = object_property_get_link(OBJECT(device), "memdev", NULL);
    if (!backend) {
        return true; /* its own check says so */
    }
    if (!object_dynamic_cast(OBJECT(device), "pc-dimm")) {
        pages.prealloc = ON_OFF_AUTO_AUTO; /* virtio-mem populates itself */
    }
    return check_backend(&pages, MEMORY_BACKEND(backend), errp);
}

typedef struct Check {
    const NfvMemoryConfig *config;
    Error **errp;
} Check;

static int check_child(Object *child, void *opaque)
{
    Check *check = opaque;
    HostMemoryBackend *backend =
        (HostMemoryBackend *)object_dynamic_cast(child, TYPE_MEMORY_BACKEND);

    return backend && host_memory_backend_is_mapped(backend) &&
           backend != asked.made &&
           !check_backend(check->config, backend, check->errp);
}

bool nfv_ram_check_all(const NfvMemoryConfig *config, Error **errp)
{
    Check check = { .config = config, .errp = errp };

    return !object_child_foreach(object_get_objects_root(), check_child,
                                 &check);
}

/* Lock */

/*
 * With a limit, a thread that starts after -run-with user= has dropped the
 * capability would fail for the lack of a stack.  CAP_SYS_RESOURCE lifts it.
 */
static bool lift_limit(void)
{
    struct rlimit limit;

    if (!getrlimit(RLIMIT_MEMLOCK, &limit) && limit.rlim_cur == RLIM_INFINITY) {
        return true;
    }
    limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;
    return !setrlimit(RLIMIT_MEMLOCK, &limit);
}

/* What is populated, and from now on each page that is. */
static bool lock_all(bool must, NfvShortfall *s)
{
    if (!lift_limit() && !must) {
        s->why = g_strdup("QEMU may not lift its limit for locked memory "
                          "(RLIMIT_MEMLOCK)");
    } else if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) {
        s->why = g_strdup_printf("mlockall(2) failed: %s", g_strerror(errno));
    } else {
        return true;
    }
    s->remedy = g_strdup("ulimit -l unlimited");
    return false;
}

bool nfv_ram_lock(const NfvMemoryConfig *config, const NfvMemoryNeed *need,
                  const NfvMemoryHost *host, Error **errp)
{
    ERRP_GUARD();
    bool unplugs = object_resolve_path_type("", TYPE_VIRTIO_MEM, NULL);

    asked.config = *config;
    asked.need = *need;
    asked.nodes = host->nodes;
    if (should_mlock(mlock_state)) {
        asked.locking = NFV_TUNING_STATE_APPLIED; /* by -overcommit */
        return true;
    }
    asked.locking = nfv_memory_lock(config, need, host, unplugs, &asked.lock);
    if (asked.locking == NFV_TUNING_STATE_APPLIED &&
        !lock_all(config->lock == ON_OFF_AUTO_ON, &asked.lock)) {
        asked.locking = NFV_TUNING_STATE_UNAVAILABLE;
    }
    if (asked.locking == NFV_TUNING_STATE_APPLIED) {
        /* Post-copy unlocks, and locks again if it knows. */
        mlock_state = MLOCK_ON_FAULT;
    } else if (config->lock == ON_OFF_AUTO_ON) {
        error_setg(errp, "mem-lock=on: %s", asked.lock.why);
        error_append_hint(errp,
                          "To have it: %s\nOr use mem-lock=auto, which "
                          "does what this host allows.\n",
                          asked.lock.remedy);
        return false;
    }
    return true;
}

/* Show */

static int count_child(Object *child, void *opaque)
{
    unsigned *count = opaque;
    Object *backend = object_dynamic_cast(child, TYPE_MEMORY_BACKEND);

    *count += backend && host_memory_backend_is_mapped(MEMORY_BACKEND(backend));
    return 0;
}

static int list_child(Object *child, void *opaque)
{
    NfvRamList *list = opaque;
    HostMemoryBackend *backend =
        (HostMemoryBackend *)object_dynamic_cast(child, TYPE_MEMORY_BACKEND);
    NfvRam *ram = &list->ram[list->count];

    if (!backend || !host_memory_backend_is_mapped(backend)) {
        return 0;
    }
    list->count++;
    ram->id = g_strdup(object_get_canonical_path_component(child));
    ram->page_size = host_memory_backend_pagesize(backend);
    ram->share = backend->share;
    ram->prealloc = backend->prealloc;
    ram->ours = backend == asked.made;
    if (backend->policy != HOST_MEM_POLICY_DEFAULT) {
        bitmap_copy(ram->bound.bits, backend->host_nodes, NFV_NODES);
    }
    ram->range.start = (uintptr_t)memory_region_get_ram_ptr(&backend->mr);
    ram->range.size = memory_region_size(&backend->mr);
    return 0;
}

NfvRamList *nfv_ram_list(void)
{
    Object *root = object_get_objects_root();
    unsigned count = 0;
    NfvRamList *list;

    object_child_foreach(root, count_child, &count);
    list = g_malloc0(sizeof(*list) + count * sizeof(list->ram[0]));
    object_child_foreach(root, list_child, list);
    return list;
}

void nfv_ram_list_free(NfvRamList *list)
{
    if (list) {
        for (unsigned i = 0; i < list->count; i++) {
            g_free(list->ram[i].id);
        }
        g_free(list);
    }
}

void nfv_ram_read(NfvRamList *list)
{
    g_autofree NfvRange *ranges = g_new0(NfvRange, list->count);

    for (unsigned i = 0; i < list->count; i++) {
        ranges[i] = list->ram[i].range;
    }
    nfv_maps_read(ranges, list->count);
    for (unsigned i = 0; i < list->count; i++) {
        list->ram[i].range = ranges[i];
    }
}

/* Whether it is so for one part of the guest's memory. */
typedef bool NfvRamTest(const NfvRam *ram);

static bool has_hugetlb(const NfvRam *ram)
{
    return ram->page_size >= 2 * MiB;
}

static bool is_populated(const NfvRam *ram)
{
    return ram->range.populated >= ram->range.size;
}

static bool is_locked(const NfvRam *ram)
{
    return ram->range.locked >= ram->range.size;
}

/* On the vCPUs' nodes, and sure to stay there. */
static bool is_local(const NfvRam *ram)
{
    const NfvNodeSet *wanted = &asked.need.nodes;
    NfvNodeSet elsewhere;

    for (unsigned node = 0; node < NFV_NODES; node++) {
        if (ram->range.on_node[node] && !test_bit(node, wanted->bits)) {
            return false;
        }
    }
    return bitmap_equal(wanted->bits, asked.nodes.bits, NFV_NODES) ||
           (!NFV_NODESET_EMPTY(&ram->bound) &&
            !bitmap_andnot(elsewhere.bits, ram->bound.bits, wanted->bits,
                           NFV_NODES));
}

/* What became of one property, for all of the guest's memory. */
typedef struct Finding {
    const char *name;
    NfvRamTest *test;
    const char *lacks, *remedy; /* if a backend of the user's has it not */
} Finding;

static NfvTuning *tuning_new(const Finding *f, const NfvRamList *list,
                             bool wanted, const NfvShortfall *s)
{
    NfvTuning *t = g_new0(NfvTuning, 1);
    const NfvRam *lacking = NULL;

    t->name = g_strdup(f->name);
    for (unsigned i = 0; i < list->count && !lacking; i++) {
        lacking = f->test(&list->ram[i]) ? NULL : &list->ram[i];
    }
    if (!lacking) {
        t->state = NFV_TUNING_STATE_APPLIED;
    } else if (!wanted) {
        t->state = NFV_TUNING_STATE_OFF;
    } else {
        t->state = NFV_TUNING_STATE_UNAVAILABLE;
        t->why = s->why && lacking->ours ?
                     g_strdup(s->why) :
                     g_strdup_printf("memory backend '%s' %s", lacking->id,
                                     f->lacks);
        t->remedy = g_strdup(s->why && lacking->ours ? s->remedy : f->remedy);
    }
    return t;
}

NfvTuningList *nfv_ram_tuning(const NfvRamList *list)
{
    static const Finding huge = { "hugepages", has_hugetlb, "has small pages",
                                  "give it huge pages, see README.md" };
    static const Finding populated = { "prealloc", is_populated,
                                       "is not populated as a whole",
                                       "give it prealloc=on" };
    static const Finding locked = { "mem-lock", is_locked, "is not locked",
                                    "use -overcommit mem-lock=on-fault" };
    static const Finding local = { "mem-bind", is_local,
                                   "is not bound to the vCPUs' NUMA nodes",
                                   "give it policy=bind and host-nodes" };
    const NfvMemoryConfig *config = &asked.config;
    bool pinned = asked.need.pinned;
    NfvTuningList *head = NULL, **tail = &head;
    NfvTuning *t = tuning_new(&huge, list, config->hugepages != ON_OFF_AUTO_OFF,
                              &asked.hugepages);

    if (t->state == NFV_TUNING_STATE_APPLIED && list->count) {
        t->value = size_to_str(list->ram[0].page_size);
    }
    QAPI_LIST_APPEND(tail, t);
    QAPI_LIST_APPEND(
        tail, tuning_new(&local, list, !NFV_NODESET_EMPTY(&asked.need.nodes),
                         &asked.bind));
    QAPI_LIST_APPEND(
        tail, tuning_new(&populated, list,
                         config->prealloc == ON_OFF_AUTO_ON ||
                             (config->prealloc == ON_OFF_AUTO_AUTO && pinned),
                         &asked.prealloc));
    QAPI_LIST_APPEND(
        tail, tuning_new(&locked, list, asked.locking != NFV_TUNING_STATE_OFF,
                         &asked.lock));
    return head;
}
