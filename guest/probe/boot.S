/*
 * Entry of the probe guest: from PVH's 32-bit protected mode to long mode
 * with memory mapped one to one, then probe_main(start info).
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "layout.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18

    .section .note.pvh, "a", @note
    .align 4
    .long 4                             /* size of the name */
    .long 8                             /* size of the value */
    .long XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad start

    .section .text.start, "ax"
    .code32
    .globl start
start:
    /* As little as possible: a KVM may have to emulate all of it. */
    cli
    cld
    movl $stack_end, %esp
    movl %ebx, %ebp                     /* start info, for later */
    movl %cr4, %eax
    orl $0x20, %eax                     /* PAE */
    movl %eax, %cr4
    movl $top_table, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx              /* EFER */
    rdmsr
    orl $0x100, %eax                    /* LME */
    wrmsr
    movl %cr0, %eax
    orl $0x80000001, %eax               /* PG, PE */
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $long_mode

    .code64
long_mode:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %ebp, %edi
    xorl %ebp, %ebp
    call probe_main
3:  cli
    hlt
    jmp 3b

    .section .rodata
    .align 8
gdt:
    .quad 0
    .quad 0x00af9a000000ffff            /* 64-bit code */
    .quad 0x00cf92000000ffff            /* data */
gdt_pointer:
    .word . - gdt - 1
    .long gdt

    /* The first GiB; memory_init() maps the rest. */
    .section .data
    .align PAGE_BYTES
top_table:
    .quad directory_table + PTE_TABLE
    .fill 511, 8, 0
    .globl directory_table
directory_table:
    .quad first_directory + PTE_TABLE
    .fill 511, 8, 0
first_directory:
    .set address, 0
    .rept 512
    .quad address + PTE_LARGE
    .set address, address + LARGE_BYTES
    .endr

    .section .bss
    .align 16
    .skip STACK_BYTES
stack_end:

    .section .note.GNU-stack, "", @progbits
