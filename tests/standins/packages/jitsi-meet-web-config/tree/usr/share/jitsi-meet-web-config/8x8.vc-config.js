/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stand-in: the real package ships a loader for a commercial service here. */
