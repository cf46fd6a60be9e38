/*
 * Finds the device where firmware has mapped it, and answers its MSIs.
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stddef.h>
#include "cpu.h"
#include "interrupt.h"
#include "pulse.h"

enum {
    PCI_ADDRESS = 0xcf8,
    PCI_DATA = 0xcfc,

    CONFIG_ID = 0x00,
    CONFIG_COMMAND = 0x04,
    CONFIG_BAR0 = 0x10,
    CONFIG_CAPABILITIES = 0x34,
    COMMAND_MEMORY_MASTER = 0x6,
    CAPABILITY_MSI = 5,
    MSI_ON = 1 << 16,           /* in the capability's first word */
    MSI_64 = 1 << 23,

    PULSE_ID = 0x4e461234,      /* device, vendor */

    REG_ID = 0x00,
    REG_CONTROL = 0x04,
    REG_ANSWER = 0x10,
    INTERFACE = 0x4e465001,
    CONTROL_ON = 1,
};

#define MSI_ADDRESS 0xfee00000u /* the first vCPU */

static volatile uint32_t *registers;
static volatile uint64_t count;

static uint32_t config_read(unsigned int slot, unsigned int offset)
{
    outl(PCI_ADDRESS, 0x80000000u | slot << 11 | (offset & 0xfc));
    return inl(PCI_DATA);
}

static void config_write(unsigned int slot, unsigned int offset,
                         uint32_t value)
{
    outl(PCI_ADDRESS, 0x80000000u | slot << 11 | (offset & 0xfc));
    outl(PCI_DATA, value);
}

__attribute__((interrupt)) static void pulsed(struct InterruptFrame *frame)
{
    (void)frame;
    registers[REG_ANSWER / 4] = 1;
    count++;
    interrupt_end();
}

static bool msi_start(unsigned int slot)
{
    unsigned int at = config_read(slot, CONFIG_CAPABILITIES) & 0xfc;

    for (unsigned int left = 48; at && left; left--) {
        uint32_t word = config_read(slot, at);

        if ((word & 0xff) == CAPABILITY_MSI) {
            config_write(slot, at + 4, MSI_ADDRESS);
            if (word & MSI_64) {
                config_write(slot, at + 8, 0);
            }
            config_write(slot, at + (word & MSI_64 ? 12 : 8), VECTOR_PULSE);
            config_write(slot, at, word | MSI_ON);
            return true;
        }
        at = word >> 8 & 0xfc;
    }
    return false;
}

bool pulse_start(void)
{
    for (unsigned int slot = 0; slot < 32; slot++) {
        if (config_read(slot, CONFIG_ID) != PULSE_ID) {
            continue;
        }
        config_write(slot, CONFIG_COMMAND, COMMAND_MEMORY_MASTER);
        registers = (volatile uint32_t *)
                    (uint64_t)(config_read(slot, CONFIG_BAR0) & ~0xfu);
        if (!registers || registers[REG_ID / 4] != INTERFACE ||
            !msi_start(slot)) {
            return false;
        }
        interrupt_handle(VECTOR_PULSE, pulsed);
        registers[REG_CONTROL / 4] = CONTROL_ON;
        return true;
    }
    return false;
}

uint64_t pulse_count(void)
{
    return count;
}
