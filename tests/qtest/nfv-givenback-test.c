/*
 * Migration of memory that the guest gave back or has not plugged yet
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "libqos/malloc-pc.h"
#include "libqos/pci-pc.h"
#include "libqos/virtio-pci.h"
#include "libqtest.h"
#include "migration/migration-qmp.h"
#include "migration/migration-util.h"
#include "nfv/ends.h"
#include "qemu/bswap.h"
#include "standard-headers/linux/virtio_mem.h"
#include "standard-headers/linux/virtio_ring.h"

static const char *ended[] = { "failed", "completed", NULL };

#define MIB_PAGES (1024 * 1024 / NFV_ENDS_PAGE)
#define SLOW (512 * 1024) /* bytes a second */
#define SLOT 5

/* In pages; at either place, the guest writes to few */
#define RAM_FIRST (32 * MIB_PAGES) /* given back by the balloon */
#define PLUGGED_FIRST (8 * MIB_PAGES) /* of virtio-mem's region */
#define PAGES (16 * MIB_PAGES)
#define REGION_BYTES (32ULL * 1024 * 1024)
#define NEW_PAGES (4 * MIB_PAGES)
#define NEW_STEP 5

/* A driver of a virtio device, with its first queue */
typedef struct Driver {
    QTestState *qts;
    QGuestAllocator memory;
    QPCIBus *bus;
    QVirtioPCIDevice *device;
    QVirtQueue *queue;
} Driver;

static void driver_start(Driver *d, QTestState *qts)
{
    QPCIAddress address = { .devfn = QPCI_DEVFN(SLOT, 0) };
    QVirtioDevice *virtio;

    d->qts = qts;
    pc_alloc_init(&d->memory, qts, 0);
    d->bus = qpci_new_pc(qts, &d->memory);
    d->device = virtio_pci_new(d->bus, &address);
    g_assert_nonnull(d->device);
    virtio = &d->device->vdev;
    qvirtio_pci_device_enable(d->device);
    qvirtio_start_device(virtio);
    qvirtio_set_features(virtio, qvirtio_get_features(virtio) &
                                     ~(QVIRTIO_F_BAD_FEATURE |
                                       1ULL << VIRTIO_RING_F_INDIRECT_DESC |
                                       1ULL << VIRTIO_RING_F_EVENT_IDX));
    d->queue = qvirtqueue_setup(virtio, &d->memory, 0);
    qvirtio_set_driver_ok(virtio);
}

/* The device goes on. */
static void driver_forget(Driver *d)
{
    qvirtqueue_cleanup(d->device->vdev.bus, d->queue, &d->memory);
    g_free(d->device->pdev);
    g_free(d->device);
    qpci_free_pc(d->bus);
    alloc_destroy(&d->memory);
}

/* Send @request, and wait for what is @returned, which may be nothing. */
static void driver_ask(Driver *d, const void *request, size_t size,
                       void *returned, size_t returned_size)
{
    uint64_t out = guest_alloc(&d->memory, size);
    uint64_t in = guest_alloc(&d->memory, MAX(returned_size, 1));
    uint32_t head;

    qtest_memwrite(d->qts, out, request, size);
    head = qvirtqueue_add(d->qts, d->queue, out, size, false, returned_size);
    if (returned_size) {
        qvirtqueue_add(d->qts, d->queue, in, returned_size, true, false);
    }
    qvirtqueue_kick(d->qts, &d->device->vdev, d->queue, head);
    while (!qvirtqueue_get_buf(d->qts, d->queue, NULL, NULL)) {
        g_usleep(10 * 1000);
    }
    qtest_memread(d->qts, in, returned, returned_size);
}

/* The devices; each returns the first of its PAGES pages */

/* All that was written to these pages is gone. */
static uint64_t inflate(QTestState *qts)
{
    g_autofree uint32_t *numbers = g_new(uint32_t, PAGES);
    Driver d;

    nfv_ends_write(qts, RAM_FIRST, PAGES, 1, 1);
    for (int i = 0; i < PAGES; i++) {
        numbers[i] = cpu_to_le32(RAM_FIRST + i);
    }
    driver_start(&d, qts);
    driver_ask(&d, numbers, PAGES * sizeof(*numbers), NULL, 0);
    driver_forget(&d);
    nfv_ends_check_holes(qts, RAM_FIRST, PAGES, MIB_PAGES);
    return RAM_FIRST;
}

static uint64_t config_of(Driver *d, size_t offset)
{
    return qvirtio_config_readq(&d->device->vdev, offset);
}

/* What is before and after them stays unplugged. */
static uint64_t plug(QTestState *qts)
{
    struct virtio_mem_req request = {};
    struct virtio_mem_resp response;
    uint64_t first;
    Driver d;

    driver_start(&d, qts);
    first = config_of(&d, offsetof(struct virtio_mem_config, addr)) /
                NFV_ENDS_PAGE +
            PLUGGED_FIRST;
    request.type = cpu_to_le16(VIRTIO_MEM_REQ_PLUG);
    request.u.plug.addr = cpu_to_le64(first * NFV_ENDS_PAGE);
    request.u.plug.nb_blocks =
        cpu_to_le16(PAGES * NFV_ENDS_PAGE /
                    config_of(&d, offsetof(struct virtio_mem_config,
                                           block_size)));
    driver_ask(&d, &request, sizeof(request), &response, sizeof(response));
    g_assert_cmpint(le16_to_cpu(response.type), ==, VIRTIO_MEM_RESP_ACK);
    driver_forget(&d);
    return first;
}

typedef struct Device {
    const char *name, *options;
    uint64_t (*prepare)(QTestState *qts);
    uint64_t before, after; /* what is compared beside the pages, in pages */
} Device;

static const Device devices[] = {
    { "balloon", "-device virtio-balloon-pci,addr=5", inflate },
    { "virtio-mem",
      "-object memory-backend-memfd,id=v,size=32M,reserve=off "
      "-device virtio-mem-pci,memdev=v,requested-size=16M,block-size=2M,addr=5",
      plug, PLUGGED_FIRST,
      REGION_BYTES / NFV_ENDS_PAGE - PLUGGED_FIRST - PAGES },
};

typedef struct Case {
    const char *name, *capability, *memory;
    bool level_one; /* popmap is off on the destination */
} Case;

static const Case cases[] = {
    { "unix", "return-path", "memory-backend-ram" },
    { "unix-memfd", "return-path", "memory-backend-memfd" },
    { "level-one", "return-path", "memory-backend-ram", true },
    { "multifd", "multifd", "memory-backend-memfd" },
    { "postcopy", "postcopy-ram", "memory-backend-ram" },
    { "postcopy-memfd", "postcopy-ram", "memory-backend-memfd" },
};

static void begin_slowly(NfvEnds *ends, const Case *c)
{
    g_autofree char *uri = nfv_ends_expand(ends, "unix:%s/socket");

    migrate_set_capability(ends->from, "return-path", true);
    migrate_set_capability(ends->to, "return-path", true);
    migrate_set_capability(ends->from, c->capability, true);
    migrate_set_capability(ends->to, c->capability, true);
    migrate_set_parameter_int(ends->from, "max-bandwidth", SLOW);
    migrate_set_parameter_int(ends->from, "max-postcopy-bandwidth", SLOW);
    migrate_incoming_qmp(ends->to, uri, NULL, "{}");
    migrate_qmp(ends->from, ends->to, NULL, NULL, "{}");
    wait_for_migration_status(ends->from, "active", ended);
}

static void begin_postcopy(NfvEnds *ends, uint64_t first)
{
    qtest_qmp_assert_success(ends->from, "{ 'execute': "
                                         "'migrate-start-postcopy' }");
    wait_for_migration_status(ends->from, "postcopy-active", ended);
    wait_for_migration_status(ends->to, "postcopy-active", ended);
    /* Each of these pages is missing; the source is slow. */
    nfv_ends_check_holes(ends->to, first + NEW_PAGES, PAGES - NEW_PAGES,
                         MIB_PAGES);
}

/* Pages that the source sent, with content and as zero. */
static int64_t pages_sent(QTestState *qts)
{
    return read_ram_property_int(qts, "normal") +
           read_ram_property_int(qts, "duplicate");
}

static void test_migrate(const Device *device, const Case *c)
{
    g_autoptr(NfvEnds) ends = NULL;
    g_autofree char *from =
        g_strdup_printf("-global migration.popmap=on %s", device->options);
    g_autofree char *to = g_strdup_printf(
        "%s %s -incoming defer",
        c->level_one ? "" : "-global migration.popmap=on", device->options);
    uint64_t first;

    if (g_str_has_prefix(c->name, "postcopy") && !ufd_version_check(NULL)) {
        g_test_skip("userfaultfd is not available");
        return;
    }
    ends = nfv_ends_new();
    ends->from = nfv_ends_start(ends, "from", false, c->memory, from);
    ends->to = nfv_ends_start(ends, "to", false, c->memory, to);
    first = device->prepare(ends->from);
    begin_slowly(ends, c);
    /* The guest takes some of it, again or at first. */
    nfv_ends_write(ends->from, first, NEW_PAGES, NEW_STEP, 2);
    if (g_str_has_prefix(c->name, "postcopy")) {
        begin_postcopy(ends, first);
    }
    migrate_set_parameter_int(ends->from, "max-bandwidth", 0);
    migrate_set_parameter_int(ends->from, "max-postcopy-bandwidth", 0);
    wait_for_migration_complete(ends->from);
    wait_for_migration_complete(ends->to);
    g_test_message("%" PRId64 " pages were sent", pages_sent(ends->from));
    if (!c->level_one) {
        g_assert_cmpint(pages_sent(ends->from), <, PAGES);
    }
    nfv_ends_check(ends->to, first, NEW_PAGES, NEW_STEP, 2);
    nfv_ends_compare(ends, 0, NFV_ENDS_BYTES);
    nfv_ends_compare(ends, (first - device->before) * NFV_ENDS_PAGE,
                     (device->before + PAGES + device->after) * NFV_ENDS_PAGE);
}

static void test_balloon(const void *opaque)
{
    test_migrate(&devices[0], opaque);
}

static void test_virtio_mem(const void *opaque)
{
    test_migrate(&devices[1], opaque);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *balloon =
            g_strdup_printf("nfv/givenback/balloon/%s", cases[i].name);
        g_autofree char *virtio_mem =
            g_strdup_printf("nfv/givenback/virtio-mem/%s", cases[i].name);

        qtest_add_data_func(balloon, &cases[i], test_balloon);
        qtest_add_data_func(virtio_mem, &cases[i], test_virtio_mem);
    }
    return g_test_run();
}
