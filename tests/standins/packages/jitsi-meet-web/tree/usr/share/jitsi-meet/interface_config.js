/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stand-in: the real file holds the older half of the client's options. No conffile: upgrades overwrite it. */
var interfaceConfig = {
    APP_NAME: 'Jitsi Meet (stand-in)',
};
