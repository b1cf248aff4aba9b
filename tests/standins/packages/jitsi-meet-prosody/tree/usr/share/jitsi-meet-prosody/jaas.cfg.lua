-- SPDX-License-Identifier: GPL-3.0-or-later
-- Stand-in for the dial-in host of the commercial service; only linked when that was chosen at installation.
VirtualHost "jigasi.meet.jitsi"
    authentication = "token"
    app_id = "jitsi";
    asap_key_server = "https://jaas-public-keys.jitsi.net/jitsi-components/prod-8x8"
    asap_accepted_issuers = { "jaas-components" }
    asap_accepted_audiences = { "jigasi.jitmeet.example.com" }
    modules_enabled = {
        "ping";
        "bosh";
        "muc_password_check";
    }
