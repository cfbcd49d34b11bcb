/** The parts of Element Plus that we use, with their styles: importing the whole would put 900 kB into the page. */
import type { App } from 'vue';
import {
  ElButton,
  ElCheckbox,
  ElCollapse,
  ElCollapseItem,
  ElConfigProvider,
  ElDialog,
  ElDropdown,
  ElDropdownItem,
  ElDropdownMenu,
  ElInput,
  ElInputNumber,
  ElRadio,
  ElRadioGroup,
  ElSlider,
  ElTooltip,
} from 'element-plus';
import 'element-plus/theme-chalk/base.css';
import 'element-plus/theme-chalk/dark/css-vars.css';
import 'element-plus/theme-chalk/el-button.css';
import 'element-plus/theme-chalk/el-checkbox.css';
import 'element-plus/theme-chalk/el-collapse.css';
import 'element-plus/theme-chalk/el-collapse-item.css';
import 'element-plus/theme-chalk/el-dialog.css';
import 'element-plus/theme-chalk/el-overlay.css';
import 'element-plus/theme-chalk/el-dropdown.css';
import 'element-plus/theme-chalk/el-dropdown-menu.css';
import 'element-plus/theme-chalk/el-dropdown-item.css';
import 'element-plus/theme-chalk/el-input.css';
import 'element-plus/theme-chalk/el-input-number.css';
import 'element-plus/theme-chalk/el-popper.css';
import 'element-plus/theme-chalk/el-radio.css';
import 'element-plus/theme-chalk/el-radio-group.css';
import 'element-plus/theme-chalk/el-scrollbar.css';
import 'element-plus/theme-chalk/el-slider.css';
import 'element-plus/theme-chalk/el-tooltip.css';

const PARTS = [
  ElButton,
  ElCheckbox,
  ElCollapse,
  ElCollapseItem,
  ElConfigProvider,
  ElDialog,
  ElDropdown,
  ElDropdownItem,
  ElDropdownMenu,
  ElInput,
  ElInputNumber,
  ElRadio,
  ElRadioGroup,
  ElSlider,
  ElTooltip,
];

export function installElement(app: App): void {
  for (const part of PARTS) app.use(part);
}

declare module 'vue' {
  // Types of the tags for vue-tsc.
  interface GlobalComponents {
    ElButton: typeof ElButton;
    ElCheckbox: typeof ElCheckbox;
    ElCollapse: typeof ElCollapse;
    ElCollapseItem: typeof ElCollapseItem;
    ElConfigProvider: typeof ElConfigProvider;
    ElDialog: typeof ElDialog;
    ElDropdown: typeof ElDropdown;
    ElDropdownItem: typeof ElDropdownItem;
    ElDropdownMenu: typeof ElDropdownMenu;
    ElInput: typeof ElInput;
    ElInputNumber: typeof ElInputNumber;
    ElRadio: typeof ElRadio;
    ElRadioGroup: typeof ElRadioGroup;
    ElSlider: typeof ElSlider;
    ElTooltip: typeof ElTooltip;
  }
}
